-- RQ's records of workers. A step reads a worker once, and writes it once, at its end.
-- Requires: times, jobs.

-- RQ's record of a worker expires after this many seconds without a heartbeat.
local WORKER_TTL = 80

local function load_worker(name)
  local key = 'rq:worker:' .. name
  local found = redis.call('HMGET', key, 'execution', 'current_job', 'successful_job_count', 'failed_job_count',
    'total_working_time', 'began', 'user_limit', 'draining', 'birth')
  return { name = name, key = key, execution = found[1], job = found[2], successful_job_count = found[3],
    failed_job_count = found[4], total_working_time = found[5], began = found[6], user_limit = found[7],
    draining = found[8], birth = found[9], changes = {} }
end

local function change_worker(worker, field, value)
  worker.changed = true
  append(worker.changes, field, value)
end

-- Give a worker a job, from now on.
local function occupy_worker(worker, execution, id)
  worker.execution, worker.job = execution, id
  change_worker(worker, 'began', decimal(NOW))
end

-- Record that a worker is idle, if it is this execution that it is busy with.
local function free_worker(worker, execution)
  if worker.execution ~= execution then return end
  worker.execution, worker.job, worker.changed = false, false, true
  worker.state = 'idle'
end

-- Count an ended execution in the worker's own statistics.
local function credit_worker(worker, kind, seconds)
  local counter = kind == 'completed' and 'successful_job_count' or kind == 'failed' and 'failed_job_count'
  if counter then change_worker(worker, counter, (tonumber(worker[counter] or '') or 0) + 1) end
  change_worker(worker, 'total_working_time', decimal((tonumber(worker.total_working_time or '') or 0) + seconds))
end

local function save_worker(worker)
  if not worker.changed then return end
  if worker.state then change_worker(worker, 'state', worker.state) end
  if worker.execution then
    change_worker(worker, 'current_job', worker.job)
    change_worker(worker, 'execution', worker.execution)
  else
    redis.call('HDEL', worker.key, 'current_job', 'execution')
  end
  redis.call('HSET', worker.key, unpack(worker.changes))
  -- A worker prolongs the life of its record itself. A record that has expired must not come back without an end.
  if not worker.birth then redis.call('EXPIRE', worker.key, WORKER_TTL) end
end
