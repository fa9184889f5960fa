"""Send events of jobs to other servers: subscriptions, signing secrets and the outbox.

A submission's `webhook_url` and a user's subscriptions come in; `deliver-webhook` jobs go out.

Keys in the broker:
    wh:webhooks:<user>                 a user's subscriptions
    wh:webhook-secrets:<user>          the secrets that sign a user's messages
"""
