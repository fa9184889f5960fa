"""The worker host: supervisor, scheduler, workers, and the horses that run attempts.

Keys in the broker:
    rq:workers                         the keys of all workers
    rq:workers:<queue>                 the same by queue
    rq:worker:<worker>                 a worker
    rq:clean_registries:<queue>        RQ's lock for its clean-up of a queue
"""
