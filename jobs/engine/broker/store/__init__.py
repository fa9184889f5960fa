"""Every key, record and script that the engine keeps in the broker.

A script is one atomic step of a job's life: submit, claim, report, finish, cancel, retry. Each is a file of Lua
beside this one, put behind `prelude.lua`, which holds what they share. Keys that begin with `rq:` are RQ's
own, in RQ's own formats (2.12.0), so that every RQ tool sees the truth; those that begin with `wh:` are ours.

| key | holds |
|---|---|
| `rq:job:<id>` | the job: RQ's fields, and ours: `user`, `type`, `version`, `attempt`, `execution` (the fence) … |
| `wh:events:<id>` | its history, newest 200 entries |
| `wh:feed:<user>` | the events of all of a user's jobs, newest 10,000, gone after a day without any |
| `wh:logs:<id>` | what it printed and logged |
| `wh:checkpoint:<id>` | the state it saved |
| `wh:jobs:<user>:<status>` | a user's jobs by status, scored by creation |
| `wh:leases`, `wh:suspects` | who holds what until when · leases seen expired once |
| `wh:expiry` | when an ended job leaves the indexes |
| `wh:idempotency:<user>:<digest>` | the job that an Idempotency-Key started |
| `wh:pushed:<queue>`, `wh:popped:<queue>` | counters behind the queue position |
| `wh:slots:<limit>`, `wh:limited:<queue>:<limit>` | who holds a slot of `user:<id>` or `type:<name>` · who waits |
| `wh:group:<id>`, `wh:group:<id>:ended` | a batch or pipeline · how those of its jobs ended that have |
| `wh:schedule:<id>`, `wh:schedules`, `wh:schedules:<user>` | a schedule · all by their next tick · a user's |
| `wh:limited` | the limits that somebody waits for |
| `wh:outbox` | events to be told of over HTTP, until the scheduler has made jobs of them |
| `wh:webhooks:<user>`, `wh:webhook-secrets:<user>` | a user's subscriptions · what signs, by its end |
| `wh:metrics:<name>` | counts by label since the broker is there, for `/metrics` |
| `wh:doorbell:<queue>` | rung at each push, so that an idle worker need not ask |

Errors of redis-py pass through: `client` turns them into ours for callers, a worker waits and asks again.
"""
