"""The only way into the queues: submit, find, cancel and retry jobs, groups and schedules.

Keys in the broker:
    wh:idempotency:<user>:<digest>     the job or group that an Idempotency-Key started, for a day
"""
