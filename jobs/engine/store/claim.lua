-- Take the head of the first non-empty queue and record who holds it. ARGV: worker, execution, lease, queues in order.
-- A job is in its queue, held, or ended: there is no moment in between.
local worker, execution, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function claimed(queue, id)
  return { 'claimed', queue, id, redis.call('HGETALL', job_key(id)), redis.call('GET', checkpoint_key(id)) or '' }
end

-- The answer to the last claim was lost on its way: a worker that asks again with the same execution gets it again.
local held = redis.call('HMGET', 'rq:worker:' .. worker, 'execution', 'current_job')
if held[1] == execution and held[2] and redis.call('HGET', job_key(held[2]), 'execution') == execution then
  return claimed(redis.call('HGET', job_key(held[2]), 'origin'), held[2])
end

for position = 4, #ARGV do
  local queue = ARGV[position]
  while true do
    local id = redis.call('LPOP', queue_key(queue))
    if not id then break end
    local key = job_key(id)
    local job = redis.call('HMGET', key, 'status', 'user', 'version', 'number', 'resuming', 'data')
    if job[4] then redis.call('INCR', 'wh:popped:' .. queue) end
    if job[6] and not job[3] then
      -- Somebody else's: rq's own path runs it, and this is where that path keeps what it has popped.
      redis.call('LPUSH', queue_key(queue) .. ':intermediate', id)
      return { 'foreign', queue, id }
    end
    -- An entry counts only while its job is queued: a cancelled job's entry is dropped here.
    if job[1] == 'queued' then
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
      return claimed(queue, id)
    end
  end
end
return { 'empty' }
