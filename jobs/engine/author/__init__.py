"""What a job function may use: the decorator, progress, checkpoints, retry policies, HTTP, documents, files."""
