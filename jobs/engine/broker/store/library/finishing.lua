-- The end of an execution: the job ends, is put back or is tried again.
-- Requires: holding, endings.

-- Put a job of plain RQ back at the head of its queue, cancel it if someone has asked for that, or fail it if its process
-- died too often. This removes whatever rq's own path has recorded of the execution (rq/executions.py, 2.12.0).
local function give_back_foreign(job, outcome)
  local id, key, queue = job.id, job.key, job.origin
  redis.call('LREM', queue_key(queue) .. ':intermediate', 0, id)
  for _, other in ipairs(redis.call('ZRANGE', 'rq:executions:' .. id, 0, -1)) do
    redis.call('ZREM', 'rq:wip:' .. queue, id .. ':' .. other)
    redis.call('DEL', 'rq:execution:' .. id .. ':' .. other)
  end
  if job.cancel then
    end_job(job, 'cancelled', {})
    return 'cancelled'
  end
  redis.call('HDEL', key, 'execution')
  if outcome.kind == 'failed' then
    local ttl = tonumber(job.failure_ttl or '') or 31536000
    redis.call('HSET', key, 'status', 'failed', 'ended_at', now_iso(), 'error_type', outcome.error_type)
    redis.call('ZADD', 'rq:failed:' .. queue, whole(NOW + ttl), id)
    redis.call('EXPIRE', key, ttl)
    return 'failed'
  end
  redis.call('HSET', key, 'status', 'queued', 'deaths', outcome.deaths or 0)
  redis.call('LPUSH', queue_key(queue), id)
  ring(queue)
  return 'resumed'
end

-- Put a job back at the head of its queue. It is the next to run, as if its limits had called it back.
local function resume(job, outcome)
  leave_slots(job)
  local changes = job.slots and call(job.id, job.slots) or {}
  redis.call('HINCRBY', job.key, 'resumed', 1)
  redis.call('HSET', job.key, 'resuming', 1)
  index(job, 'pending')
  append(changes, unpack(push(job.id, job.origin, true)))
  emit(job, 'job_resumed', { status = 'pending', reason = outcome.reason }, changes)
end

local function try_again(job, outcome)
  if outcome.uncharged then redis.call('HSET', job.key, 'resuming', 1) end
  free_slots(job)
  index(job, 'pending')
  local due = NOW + (tonumber(outcome.delay or '') or 0)
  emit(job, 'job_retrying', { status = 'pending', attempt = outcome.attempt, error = outcome.error,
    error_type = outcome.error_type, scheduled_at = iso(due) }, schedule(job.id, job.origin, due, 'retrying'))
end

-- Store the result of an execution as rq/results.py (2.12.0) does.
local function store_result(job, kind, execution, began, outcome)
  local name, value = 'return_value', outcome.result
  if kind ~= 'completed' then name, value = 'exc_string', outcome.trace end
  local stored = { 'type', kind == 'completed' and '1' or kind == 'failed' and '2' or '3', 'worker_name', job.worker_name or '',
    'execution_id', execution, 'execution_started_at', began, 'execution_ended_at', decimal(NOW), name, value }
  redis.call('XADD', results_key(job.id), 'MAXLEN', 10, '*', unpack(stored, 1, value and 12 or 10))
end

-- Read the outcome: '' stands for a part that this kind of outcome does not have.
local OUTCOME = { 'kind', 'error', 'error_type', 'meta', 'reason', 'delay', 'uncharged', 'deaths', 'result', 'trace' }
local function read_outcome(first)
  local outcome = {}
  for place, name in ipairs(OUTCOME) do
    local value = ARGV[first + place - 1]
    if value ~= '' then outcome[name] = value end
  end
  return outcome
end

-- End an execution. `worker` is its worker's record, which the caller saves, or false: the scheduler ends the execution.
-- Returns how the job ended or continues, or 'lost' if this execution no longer holds it; then nothing was written.
-- The worker has decided on the outcome; only a request to cancel, which may come at any moment, is stronger.
local function finish(id, execution, worker, outcome)
  local job = load_job(id)
  if job.execution ~= execution then return 'lost' end
  local holder = worker or job.worker_name and load_worker(job.worker_name)
  local began = holder and holder.execution == execution and holder.began
    or redis.call('HGET', 'rq:execution:' .. id .. ':' .. execution, 'created_at') or decimal(NOW)
  if not job.version then
    local ended = give_back_foreign(job, outcome)
    let_go(id, job.origin, holder, execution)
    if holder and not worker then save_worker(holder) end
    return ended
  end

  local kind = outcome.kind
  outcome.attempt = tonumber(job.attempt)
  -- A job that someone has asked to cancel does not come back.
  if job.cancel and kind ~= 'completed' then kind = 'cancelled' end
  if kind == 'cancelled' then outcome.error, outcome.error_type = nil, nil end

  let_go(id, job.origin, holder, execution, kind == 'completed' and { checkpoint_key(id) })
  if holder and not worker then save_worker(holder) end
  measure('run', job.type or '', NOW - tonumber(began))
  if outcome.deaths then measure('lost', worker and 'horse' or 'worker') end
  if kind == 'resumed' or kind == 'retrying' then
    redis.call('HDEL', job.key, 'execution', 'cancel', 'slots')
    redis.call('HSET', job.key, 'deaths', outcome.deaths or 0)
    if kind == 'resumed' then resume(job, outcome) else try_again(job, outcome) end
  else
    store_result(job, kind, execution, began, outcome)
    end_job(job, kind, outcome)
  end
  if worker then credit_worker(worker, kind, NOW - tonumber(began)) end
  return kind
end
