-- Take the head of the first non-empty queue and record who holds it.
-- ARGV: worker, execution, lease, running jobs that a user may have (0: any number), queues in order.
-- Returns claimed, foreign (a job of plain RQ), again or empty.
-- At every moment a job is in its queue, set aside for a limit, held, or ended.
local worker, execution, lease, user_limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
-- Heads that one script sets aside. Then the worker asks again, so that other scripts can run in between.
local MOST_ASIDE = 100
local aside = 0

-- The scripts that make room use the limit of the last claim.
if (redis.call('GET', USER_LIMIT) or '0') ~= ARGV[4] then redis.call('SET', USER_LIMIT, ARGV[4]) end

-- The reply with a claimed job, and the results that its parameters refer to: for each the number of its step, and an entry
-- of RQ's results or nothing.
local function claimed(queue, id, references)
  local answer = { 'claimed', queue, id, redis.call('HGETALL', job_key(id)), redis.call('GET', checkpoint_key(id)) or '' }
  if references then
    answer[6] = {}
    for position, reference in ipairs(cjson.decode(references)) do
      answer[6][position] = { reference[1], redis.call('XREVRANGE', results_key(reference[2]), '+', '-', 'COUNT', 1) }
    end
  end
  return answer
end

-- Claim what was popped. Returns the reply to the worker, or nothing if the job was set aside or had already ended.
local function take(id, queue)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'status', 'user', 'version', 'number', 'resuming', 'data', 'type', 'max_running',
    'slots', 'references')
  if job[4] then redis.call('INCR', 'wh:popped:' .. queue) end
  if job[6] and not job[3] then
    -- A job of plain RQ: rq's own path runs it, and this is the list where that path keeps what it has popped.
    redis.call('LPUSH', queue_key(queue) .. ':intermediate', id)
    redis.call('HSET', key, 'execution', execution)
    redis.call('ZADD', 'wh:leases', decimal(NOW + lease), id .. ':' .. execution)
    redis.call('HSET', 'rq:worker:' .. worker, 'current_job', id, 'execution', execution)
    return { 'foreign', queue, id, redis.call('HGET', key, 'deaths') or '0' }
  end
  -- An entry counts only while its job is queued: a cancelled job's entry is dropped here.
  if job[1] ~= 'queued' then return end
  local full = not job[9] and take_slots(id, job[2], job[7], job[8], user_limit)
  if full then
    set_aside(id, queue, full, job[4])
    emit(id, 'job_queued', { status = 'pending', reason = 'limited' })
    aside = aside + 1
    return
  end
  if job[5] then
    redis.call('HDEL', key, 'resuming')
  else
    redis.call('HINCRBY', key, 'attempt', 1)
    redis.call('HDEL', key, 'meta')
  end
  redis.call('HDEL', key, 'reason', 'due', 'number')
  redis.call('HSET', key, 'status', 'started', 'started_at', NOW_ISO, 'last_heartbeat', NOW_ISO,
    'worker_name', worker, 'execution', execution)
  hold(id, queue, worker, execution, lease)
  index(id, job[2], 'pending', 'running')
  local attempt = tonumber(redis.call('HGET', key, 'attempt'))
  emit(id, 'job_started', { status = 'running', attempt = attempt })
  return claimed(queue, id, job[10])
end

-- A record that none of our scripts has written can't be claimed, and must not stop its worker from claiming the next one.
-- If the record can't even be ended, it still loses its entry in the queue.
local function refuse(id, queue, trouble)
  redis.log(redis.LOG_WARNING, "workhorse: job " .. id .. " can't be claimed: " .. tostring(trouble.err or trouble))
  pcall(let_go, id, queue, worker, execution)
  pcall(end_job, id, queue, redis.call('HGET', job_key(id), 'user') or '', 'failed', { error_type = 'UnreadableRecord',
    error = "This job's record in the broker can't be read, so the job can't run; submit it again." })
end

-- If the reply to the last claim was lost, the worker asks again with the same execution, and gets the same reply.
local held = redis.call('HMGET', 'rq:worker:' .. worker, 'execution', 'current_job')
if held[1] == execution and held[2] and redis.call('HGET', job_key(held[2]), 'execution') == execution then
  local job = redis.call('HMGET', job_key(held[2]), 'origin', 'references', 'version', 'deaths')
  if not job[3] then return { 'foreign', job[1], held[2], job[4] or '0' } end
  return claimed(job[1], held[2], job[2])
end

for position = 5, #ARGV do
  local queue = ARGV[position]
  while true do
    local id = redis.call('LPOP', queue_key(queue))
    if not id then break end
    local done, answer = pcall(take, id, queue)
    if not done then
      pcall(refuse, id, queue, answer)
    elseif answer then
      return answer
    end
    if aside == MOST_ASIDE then return { 'again' } end
  end
end
return { 'empty' }
