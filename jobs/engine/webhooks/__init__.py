"""Send events to other servers: subscriptions, signing secrets, the outbox."""
