"""Users, their credentials, how often they may call, and the audit log."""
