-- Who holds a job: RQ's records of an execution, and our lease.

-- RQ's record of a worker expires after this many seconds without a heartbeat.
local WORKER_TTL = 80

-- Record that a worker holds a job, as rq/executions.py (2.12.0) does. The wip entry never expires by itself: RQ's own
-- clean-up (rq/registry.py 2.12.0, StartedJobRegistry.cleanup) would fail a job that our lease still protects.
local function hold(id, queue, worker, execution, lease)
  local member = id .. ':' .. execution
  redis.call('ZADD', 'rq:wip:' .. queue, '+inf', member)
  redis.call('ZADD', 'wh:leases', decimal(NOW + lease), member)
  redis.call('HSET', 'rq:execution:' .. member, 'id', execution, 'created_at', decimal(NOW), 'last_heartbeat',
    decimal(NOW), 'worker_name', worker)
  redis.call('ZADD', 'rq:executions:' .. id, '+inf', execution)
  redis.call('HSET', 'rq:worker:' .. worker, 'state', 'busy', 'current_job', id, 'execution', execution)
  redis.call('EXPIRE', 'rq:worker:' .. worker, WORKER_TTL)
end

local function let_go(id, queue, worker, execution)
  local member = id .. ':' .. execution
  redis.call('ZREM', 'rq:wip:' .. queue, member)
  redis.call('ZREM', 'wh:leases', member)
  redis.call('HDEL', 'wh:suspects', member)
  redis.call('DEL', 'rq:execution:' .. member)
  redis.call('ZREM', 'rq:executions:' .. id, execution)
  redis.call('HDEL', job_key(id), 'execution', 'cancel')
  if worker and redis.call('HGET', 'rq:worker:' .. worker, 'execution') == execution then
    redis.call('HDEL', 'rq:worker:' .. worker, 'current_job', 'execution')
    redis.call('HSET', 'rq:worker:' .. worker, 'state', 'idle')
  end
end
