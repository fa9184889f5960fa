"""The worker host: supervisor, scheduler, workers, and the horses that run attempts."""
