"""Send events of jobs to other servers: subscriptions, signing secrets and the outbox.

A submission's `webhook_url` and a user's subscriptions come in; `deliver-webhook` jobs go out.
"""
