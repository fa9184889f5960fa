"""The way to the broker: connections, the records of jobs, and the scripts that change them.

Descriptions of jobs come in, already validated. What a user may do, and what a job type is, is decided above.

Keys in the broker:
    rq:queues                          the names of all queues
    rq:queue:<queue>                   waiting jobs, in order
    rq:queue:<queue>:intermediate      claimed jobs of plain RQ
    rq:queue:<queue>:intermediate:first_seen:<job>  when RQ's maintenance saw the job there, kept a day
    rq:job:<job>                       a job: RQ's fields and ours
    rq:job:<job>:dependents            the jobs that wait for it
    rq:results:<job>                   its results
    rq:execution:<job>:<execution>     an execution that holds a job
    rq:executions:<job>                the executions of a job
    rq:wip:<queue>                     executions by queue
    rq:scheduled:<queue>               jobs by the time at which they are due
    rq:deferred:<queue>                jobs that wait for another job or for a limit
    rq:finished:<queue>                completed jobs by expiry
    rq:failed:<queue>                  failed jobs by expiry
    rq:canceled:<queue>                cancelled jobs by expiry
    wh:events:<job>                    a job's history, its newest 200 entries
    wh:logs:<job>                      what it printed and logged
    wh:checkpoint:<job>                the state it saved
    wh:jobs:<user>:<status>            a user's jobs by creation; an empty user owns what no user owns
    wh:feed:<user>                     the events of a user's jobs, the newest 10,000 or more, kept a day after the last
    wh:leases                          executions by the end of their lease
    wh:suspects                        leases that were seen expired once
    wh:expiry                          ended jobs by the time at which they leave the indexes
    wh:pushed:<queue>                  how many jobs were pushed: the counters behind the queue position
    wh:popped:<queue>                  how many jobs were popped
    wh:doorbell:<name>                 rung for idle workers: a queue's at each push, a worker's own for a drain
    wh:served:<queue>                  exists while a live worker serves the queue
    wh:unused                          queues with needs by the time since which they have been unused
    wh:control                         what operators have paused
    wh:room                            limits and pauses whose jobs can be put back, by the time from which on
    wh:max_running_per_user            the limit that the workers use
    wh:slots:<kind>:<name…>            the jobs that run under a limit: `user:<user>`, `type:<type>`, or with a key
    wh:starts:<kind>:<name…>           the executions in the window of a rate, by the time by which they began
    wh:limited                         the limits that jobs wait for
    wh:limited:<queue>:<kind>:<name…>  the jobs that wait for a limit
    wh:called:<kind>:<name…>           the jobs that a limit or pause has called back, and that are in their queues
    wh:start_by                        jobs by the time by which they must have started
    wh:unique:<unique>                 the job that has a unique key
    wh:group:<group>                   a batch or pipeline
    wh:group:<group>:ended             how its ended jobs ended
    wh:schedule:<schedule>             a schedule
    wh:schedule:<schedule>:runs        its last 20 ticks
    wh:schedules                       all schedules by their next tick
    wh:schedules:<user>                a user's schedules
    wh:waiting_schedules               the schedules with a tick that waits for a job to end
    wh:outbox                          events to send to webhooks
    wh:functions                       the libraries of functions by the time of loading
    wh:metrics:<metric>                counts by label since the broker started, for /metrics
"""
