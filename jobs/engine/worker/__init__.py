"""The worker host: supervisor, scheduler, workers, and the horses that run attempts.

`worker.py` gives it the settings and the catalogue. The jobs come from the broker, and all that becomes of them goes
there. A horse knows the catalogue and the author's room, and has no connection.

Keys in the broker:
    rq:workers                         the keys of all workers
    rq:workers:<queue>                 the same by queue
    rq:worker:<worker>                 a worker
    rq:clean_registries:<queue>        RQ's lock for its clean-up of a queue
"""
