-- Who holds a job: RQ's records of an execution, and our lease.
-- Requires: times, workers.

-- Record that a worker holds a job, as rq/executions.py (2.12.0) does. The wip entry never expires by itself: RQ's own
-- clean-up (rq/registry.py 2.12.0, StartedJobRegistry.cleanup) would fail a job that our lease still protects.
local function hold(id, queue, worker, execution, lease)
  local member, now = id .. ':' .. execution, decimal(NOW)
  redis.call('ZADD', 'rq:wip:' .. queue, '+inf', member)
  redis.call('ZADD', 'wh:leases', decimal(NOW + lease), member)
  redis.call('HSET', 'rq:execution:' .. member, 'id', execution, 'created_at', now, 'last_heartbeat', now,
    'worker_name', worker.name)
  redis.call('ZADD', 'rq:executions:' .. id, '+inf', execution)
  occupy_worker(worker, execution, id)
  worker.state = 'busy'
end

-- Undo `hold`, and delete `more` keys, if any. `worker` may be false. The caller saves it, and takes the fields `execution` and
-- `cancel` from the job's record.
local function let_go(id, queue, worker, execution, more)
  local member = id .. ':' .. execution
  redis.call('ZREM', 'rq:wip:' .. queue, member)
  redis.call('ZREM', 'wh:leases', member)
  redis.call('HDEL', 'wh:suspects', member)
  redis.call('DEL', 'rq:execution:' .. member, 'rq:executions:' .. id, unpack(more or {}))
  if worker then free_worker(worker, execution) end
end
