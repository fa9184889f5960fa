"""What a job function may use: the decorator, progress, checkpoints, retry policies, HTTP, documents, files.

Job modules import its names from `jobs.engine`. The worker room begins and ends the attempt that the names refer to.

Keys in the broker:
    wh:lock:<path…>                    the lock of a document that is being changed
"""
