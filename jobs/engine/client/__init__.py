"""The only way into the queues: submit, find, cancel and retry jobs, groups and schedules."""
