-- Claims: a worker takes the job at the head of a queue.
-- Requires: heads, holding, deadlines, reviving.

-- Heads that one script sets aside. Then the worker asks again, so that other scripts can run in between.
local MOST_ASIDE = 100

-- The reply with a claimed job: the fields of its record in the order of CLAIMED (claims.py), its checkpoint if it may
-- have run before, and the results that its parameters refer to: for each the number of its step, and an entry of RQ's
-- results or nothing.
local function claimed(job, has_run)
  local fields = redis.call('HMGET', job.key, 'data', 'type', 'user', 'acts_for', 'attempt', 'attempts', 'resumed', 'deaths',
    'timeout', 'positions', 'meta', 'start_seconds')
  local checkpoint = has_run and redis.call('GET', checkpoint_key(job.id)) or ''
  local answer = { 'claimed', job.origin, job.id, fields, checkpoint }
  if job.references then
    answer[6] = {}
    for position, reference in ipairs(cjson.decode(job.references)) do
      answer[6][position] = { reference[1], redis.call('XREVRANGE', results_key(reference[2]), '+', '-', 'COUNT', 1) }
    end
  end
  return answer
end

local function foreign(job)
  return { 'foreign', job.origin, job.id, redis.call('HGET', job.key, 'deaths') or '0' }
end

-- Claim a job of plain RQ: rq's own path runs it, and the intermediate list is where that path keeps what it has popped.
local function take_foreign(job, worker, execution, lease)
  redis.call('LPUSH', queue_key(job.origin) .. ':intermediate', job.id)
  redis.call('HSET', job.key, 'execution', execution)
  redis.call('HDEL', job.key, 'number', 'reason', 'started_at')
  redis.call('HINCRBY', job.key, 'claims', 1)
  redis.call('ZADD', 'wh:leases', decimal(NOW + lease), job.id .. ':' .. execution)
  occupy_worker(worker, execution, job.id)
  return foreign(job)
end

-- Claim what was popped. Returns the reply to the worker; or nothing and the limit for which the job was set aside; or
-- nothing, if the job had already ended.
local function take(id, queue, worker, execution, lease, user_limit)
  local job = load_job(id)
  if job.number then redis.call('INCR', 'wh:popped:' .. queue) end
  job.origin = queue
  if not job.version and redis.call('HEXISTS', job.key, 'data') == 1 then
    return take_foreign(job, worker, execution, lease)
  end
  -- An entry counts only while its job is queued: a cancelled job's entry is dropped here.
  if job.status ~= 'queued' then return end
  -- It has ended before, and none of our steps has put it back.
  if job.expires then revive_requeued(job) end
  local has_deadline = job.start_by and not job.attempt
  if has_deadline and NOW > tonumber(job.start_by) then return end_late(job) end
  local changes, limit = admit_head(job, execution, user_limit)
  if limit then
    local reason = pause_of(job) and 'paused' or 'limited'
    emit(job, 'job_queued', { status = 'pending', reason = reason }, set_aside(job, queue, limit, job.number))
    return nil, limit
  end
  call_off(job, true)
  -- The only event of a job that has just been submitted is its submission.
  local is_new = job.version == '1'
  local attempt = tonumber(job.attempt or '0') + (job.resuming and 0 or 1)
  redis.call('HDEL', job.key, 'reason', 'due', 'number', job.resuming and 'resuming' or 'meta')
  if has_deadline then redis.call('ZREM', DEADLINES, id) end
  if job.unique_until == 'start' then free_unique(id, job.unique) end
  hold(id, queue, worker, execution, lease)
  index(job, 'running')
  append(changes, 'status', 'started', 'started_at', now_iso(), 'last_heartbeat', now_iso(), 'worker_name', worker.name,
    'execution', execution, 'attempt', attempt)
  emit(job, 'job_started', { status = 'running', attempt = attempt }, changes)
  return claimed(job, not is_new)
end

-- A record that none of our scripts has written can't be claimed, and must not stop its worker from claiming the next one.
-- If the record can't even be ended, it still loses its entry in the queue.
local function refuse(id, queue, worker, execution, trouble)
  redis.log(redis.LOG_WARNING, "workhorse: job " .. id .. " can't be claimed: " .. tostring(trouble.err or trouble))
  pcall(let_go, id, queue, worker, execution)
  pcall(function()
    local job = load_job(id)
    job.origin = queue
    end_job(job, 'failed', { error_type = 'UnreadableRecord',
      error = "This job's record in the broker can't be read, so the job can't run; submit it again." })
  end)
end

-- If the reply to the last claim was lost, the worker asks again with the same execution, and gets the same reply.
local function claimed_before(worker, execution)
  if worker.execution ~= execution or not worker.job then return end
  local job = load_job(worker.job)
  if job.execution ~= execution then return end
  return job.version and claimed(job, true) or foreign(job)
end

-- The scripts that make room use the limit of the worker that started last. A worker's record shows whether it has passed
-- its limit on.
local function share_user_limit(worker, user_limit)
  if worker.user_limit == user_limit then return end
  if user_limit == '0' then
    redis.call('DEL', USER_LIMIT)
  else
    redis.call('SET', USER_LIMIT, user_limit)
  end
  change_worker(worker, 'user_limit', user_limit)
end

-- Take the head of the first non-empty queue and record who holds it. The queues are the arguments of the script from
-- number `first` on. The caller saves the worker.
-- Returns claimed, foreign (a job of plain RQ), again or empty.
-- At every moment a job is in its queue, set aside for a limit, held, or ended.
local function claim(worker, execution, lease, user_limit, first)
  share_user_limit(worker, user_limit)
  if worker.draining or read_control().suspended then return { 'empty' } end
  use_room(MOST_LOOKS)
  local keys = {}
  for position = first, #ARGV do
    if not queue_is_paused(ARGV[position]) then keys[#keys + 1] = queue_key(ARGV[position]) end
  end
  if #keys == 0 then return { 'empty' } end
  append(keys, 'LEFT')
  local aside = 0
  while true do
    local popped = redis.call('LMPOP', #keys - 1, unpack(keys))
    if not popped then return { 'empty' } end
    local queue, id = string.sub(popped[1], #queue_key('') + 1), popped[2][1]
    local done, answer, full = pcall(take, id, queue, worker, execution, tonumber(lease), tonumber(user_limit))
    if not done then
      pcall(refuse, id, queue, worker, execution, answer)
    elseif answer then
      return answer
    elseif full then
      aside = aside + 1
      if aside == MOST_ASIDE then return { 'again' } end
    end
  end
end
