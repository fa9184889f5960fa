"""Run everything on one machine: the instance of `make run`, around an embedded broker.

It is started from a shell (`python -m jobs.engine.local`) and by the demo; nothing else imports it.

Keys in the broker: none of its own.
"""
