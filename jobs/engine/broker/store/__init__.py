"""The records of jobs in the broker, and the scripts that change them.

Each script is one atomic step of a job's life, such as submit, claim or finish: a file of Lua beside this one, with the
files of the library that it requires. The broker loads all steps as functions, once (`sources.py`). Keys that begin
with `rq:` are RQ's own, in RQ's formats (2.12.0), so that RQ's tools show the truth. The room's sign,
`jobs/engine/broker/__init__.py`, lists all keys.

Errors of redis-py pass through: `client` turns them into ours for callers, and a worker waits and tries again.
"""
