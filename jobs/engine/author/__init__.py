"""What a job function may use: the decorator, progress, checkpoints, retry policies, HTTP, documents, files.

Keys in the broker:
    wh:lock:<path…>                    the lock of a document that is being changed
"""
