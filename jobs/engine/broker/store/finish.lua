-- End an execution. ARGV: job, execution, worker or '', outcome, RQ's result or '', RQ's trace or ''.
-- Returns how the job ended or continues, or 'lost' if this execution no longer holds it; then nothing was written.
-- The worker has decided on the outcome; only a request to cancel, which may come at any moment, is stronger.
local id, execution, worker = ARGV[1], ARGV[2], ARGV[3]
local outcome = cjson.decode(ARGV[4])
local key = job_key(id)

-- Put a job of plain RQ back at the head of its queue, or fail it if its process died too often. This removes whatever
-- rq's own path has recorded of the execution (rq/executions.py, 2.12.0).
local function give_back_foreign(queue)
  let_go(id, queue, worker ~= '' and worker, execution)
  redis.call('LREM', queue_key(queue) .. ':intermediate', 0, id)
  for _, other in ipairs(redis.call('ZRANGE', 'rq:executions:' .. id, 0, -1)) do
    redis.call('ZREM', 'rq:wip:' .. queue, id .. ':' .. other)
    redis.call('DEL', 'rq:execution:' .. id .. ':' .. other)
  end
  redis.call('DEL', 'rq:executions:' .. id)
  if outcome.kind == 'failed' then
    local ttl = tonumber(redis.call('HGET', key, 'failure_ttl') or '') or 31536000
    redis.call('HSET', key, 'status', 'failed', 'ended_at', NOW_ISO, 'error_type', outcome.error_type)
    redis.call('ZADD', 'rq:failed:' .. queue, whole(NOW + ttl), id)
    redis.call('EXPIRE', key, ttl)
    return 'failed'
  end
  redis.call('HSET', key, 'status', 'queued', 'deaths', outcome.deaths or 0)
  redis.call('LPUSH', queue_key(queue), id)
  redis.call('LPUSH', 'wh:doorbell:' .. queue, '1')
  redis.call('LTRIM', 'wh:doorbell:' .. queue, 0, KEEP_RINGS - 1)
  return 'resumed'
end

local job = redis.call('HMGET', key, 'execution', 'origin', 'user', 'cancel', 'version', 'attempt', 'started_at', 'worker_name', 'slots')
if job[1] ~= execution then return 'lost' end
local queue, user, cancel = job[2], job[3], job[4]
if not job[5] then return give_back_foreign(queue) end
local kind = outcome.kind
outcome.attempt = tonumber(job[6])

-- A job that someone has asked to cancel does not come back.
if cancel and kind ~= 'completed' then kind = 'cancelled' end
if kind == 'cancelled' then
  outcome.error, outcome.error_type = nil, nil
end

local began = redis.call('HGET', 'rq:execution:' .. id .. ':' .. execution, 'created_at') or decimal(NOW)
let_go(id, queue, worker ~= '' and worker or job[8], execution)
redis.call('HSET', key, 'deaths', outcome.deaths or 0)
measure('run', redis.call('HGET', key, 'type') or '', NOW - tonumber(began))
if outcome.deaths then measure('lost', worker == '' and 'worker' or 'horse') end

if kind == 'resumed' then
  -- It keeps its slots: it is the next to run.
  redis.call('HINCRBY', key, 'resumed', 1)
  redis.call('HSET', key, 'resuming', 1)
  index(id, user, 'running', 'pending')
  push(id, queue, true)
  emit(id, 'job_resumed', { status = 'pending', reason = outcome.reason })
elseif kind == 'retrying' then
  if outcome.uncharged then redis.call('HSET', key, 'resuming', 1) end
  free_slots(id, job[9])
  index(id, user, 'running', 'pending')
  local due = NOW + (outcome.delay or 0)
  schedule(id, queue, due, 'retrying')
  emit(id, 'job_retrying', { status = 'pending', attempt = outcome.attempt, error = outcome.error,
    error_type = outcome.error_type, scheduled_at = iso(due) })
else
  local stored = { 'type', kind == 'completed' and '1' or kind == 'failed' and '2' or '3', 'worker_name', job[8] or '',
    'execution_id', execution, 'execution_started_at', began, 'execution_ended_at', decimal(NOW) }
  if kind == 'completed' then
    redis.call('HSET', key, 'meta', outcome.meta)
    redis.call('HDEL', key, 'error', 'error_type')
    if ARGV[5] ~= '' then stored[#stored + 1] = 'return_value'; stored[#stored + 1] = ARGV[5] end
  elseif ARGV[6] ~= '' then
    stored[#stored + 1] = 'exc_string'; stored[#stored + 1] = ARGV[6]
  end
  redis.call('XADD', results_key(id), 'MAXLEN', 10, '*', unpack(stored))
  end_job(id, queue, user, kind, outcome)
end

if worker ~= '' then
  local counter = kind == 'completed' and 'successful_job_count' or kind == 'failed' and 'failed_job_count'
  if counter then redis.call('HINCRBY', 'rq:worker:' .. worker, counter, 1) end
  redis.call('HINCRBYFLOAT', 'rq:worker:' .. worker, 'total_working_time', decimal(NOW - tonumber(began)))
end
return kind
