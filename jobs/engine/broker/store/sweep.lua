-- Remove expired jobs from the indexes and registries, and cancelled ones from queues of which no worker takes jobs.
-- ARGV: how many at most. Returns how many were removed.
-- Requires: control.
local swept, queues = 0, our_queues()
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'wh:expiry', '-inf', decimal(NOW), 'LIMIT', 0, ARGV[1])) do
  local id, user, status = string.match(member, '^([^|]*)|([^|]*)|([^|]*)$')
  redis.call('ZREM', 'wh:expiry', member)
  if REGISTRY[status] then
    redis.call('ZREM', index_key(user, status), id)
    for _, queue in ipairs(queues) do redis.call('ZREM', REGISTRY[status] .. queue, id) end
  end
  swept = swept + 1
end

-- Drop the cancelled jobs at the head of a queue, as a claim does.
local function drop_cancelled(queue)
  while swept < tonumber(ARGV[1]) do
    local id = readable('LINDEX', queue_key(queue), 0)
    local job = id and readable('HMGET', job_key(id), 'status', 'version', 'number')
    -- A record without a version is one of plain RQ.
    if not job or job[1] == 'queued' or (not job[2] and redis.call('EXISTS', job_key(id)) == 1) then return end
    redis.call('LPOP', queue_key(queue))
    if job[3] then redis.call('INCR', 'wh:popped:' .. queue) end
    swept = swept + 1
  end
end

for _, queue in ipairs(queues) do
  if not queue_is_open(queue) then drop_cancelled(queue) end
end

-- Forget queues that have not been used for a minute, such as those of needs that have been renamed. RQ lists a queue before
-- it pushes the first job, in two steps (rq/queue.py, enqueue_job).
local UNUSED, UNUSED_SECONDS = 'wh:unused', 60
for _, queue in ipairs(queues) do
  local kept = { queue_key(queue), queue_key(queue) .. ':intermediate', 'rq:scheduled:' .. queue, 'rq:deferred:' .. queue,
    'rq:wip:' .. queue }
  for _, registry in pairs(REGISTRY) do kept[#kept + 1] = registry .. queue end
  local forgettable = string.find(queue, '@', 1, true) and not read_control().pauses['queue:' .. queue]
  if not forgettable or redis.call('EXISTS', unpack(kept)) > 0 then
    readable('ZREM', UNUSED, queue)
  elseif readable('ZADD', UNUSED, 'NX', decimal(NOW), queue) == 0
    and tonumber(redis.call('ZSCORE', UNUSED, queue)) < NOW - UNUSED_SECONDS then
    redis.call('SREM', 'rq:queues', queue_key(queue))
    redis.call('ZREM', UNUSED, queue)
    redis.call('DEL', 'wh:pushed:' .. queue, 'wh:popped:' .. queue, 'wh:doorbell:' .. queue, 'rq:workers:' .. queue)
  end
end
return swept
