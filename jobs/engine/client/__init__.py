"""The only way into the queues: submit, find, cancel and retry jobs, groups and schedules.

Validated parameters and the id of a known user come in. All that submits or changes jobs comes through this room, the
attempts of workers aside.

Keys in the broker:
    wh:bulk:<job>                      how far a bulk action is, kept a week after its last step
    wh:idempotency:<user>:<digest>     the job or group that an Idempotency-Key started, for a day
"""
