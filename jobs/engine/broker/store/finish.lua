-- End an execution. ARGV: job, execution, worker or '', outcome, RQ's result, RQ's trace.
-- Answers what became of the job, or 'lost' if this execution no longer holds it, and then nothing was written.
local id, execution, worker = ARGV[1], ARGV[2], ARGV[3]
local outcome = cjson.decode(ARGV[4])
local key = job_key(id)
local job = redis.call('HMGET', key, 'execution', 'origin', 'user', 'cancel', 'deaths', 'attempt', 'started_at', 'worker_name', 'slots')
if job[1] ~= execution then return 'lost' end
if not redis.call('HGET', key, 'version') then return give_back_foreign(id, job[2], worker, execution, outcome, job[5]) end
local queue, user, cancel = job[2], job[3], job[4]
local kind = outcome.kind
outcome.attempt = tonumber(job[6])

local deaths = 0
if kind == 'died' then
  deaths = tonumber(job[5] or '0') + 1
  if deaths >= DEATHS_ALLOWED then
    kind = 'failed'
  else
    kind = 'resumed'
  end
end
-- A job that was to be cancelled does not come back.
if cancel and kind ~= 'completed' then kind = 'cancelled' end
if kind == 'cancelled' then
  outcome.error, outcome.error_type = nil, nil
end

local began = redis.call('HGET', 'rq:execution:' .. id .. ':' .. execution, 'created_at') or decimal(NOW)
let_go(id, queue, worker ~= '' and worker or job[8], execution)
redis.call('HSET', key, 'deaths', deaths)
measure('run', redis.call('HGET', key, 'type') or '', NOW - tonumber(began))
if outcome.kind == 'died' then measure('lost', worker == '' and 'worker' or 'horse') end

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
  -- Neither infinity nor what is no number (it differs from itself) may become a time.
  if outcome.delay ~= outcome.delay or outcome.delay > MOST_DELAY then outcome.delay = MOST_DELAY end
  schedule(id, queue, NOW + outcome.delay, 'retrying')
  emit(id, 'job_retrying', { status = 'pending', attempt = outcome.attempt, error = outcome.error,
    error_type = outcome.error_type, scheduled_at = iso(NOW + outcome.delay) })
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
