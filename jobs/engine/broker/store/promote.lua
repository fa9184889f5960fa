-- Move due jobs from the scheduled registries into the queues. ARGV: how many of each at most.
-- Returns how many were moved, then the seconds until the next one is due ('' if there is none).
-- Requires: history, queues.
local moved, nearest = 0, nil
for _, queue in ipairs(our_queues()) do
  local registry = 'rq:scheduled:' .. queue
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', registry, '-inf', decimal(NOW), 'LIMIT', 0, ARGV[1])) do
    redis.call('ZREM', registry, id)
    local known, job = pcall(load_job, id)
    if known and job.status == 'scheduled' then
      local changes = push(id, queue, redis.call('HGET', job.key, 'enqueue_at_front') == '1')
      if job.version then
        emit(job, 'job_queued', { status = 'pending' }, changes)
      else
        redis.call('HSET', job.key, unpack(changes))
      end
      moved = moved + 1
    end
  end
  local head = redis.call('ZRANGE', registry, 0, 0, 'WITHSCORES')
  if head[2] then nearest = math.min(nearest or math.huge, tonumber(head[2]) - NOW) end
end
return { moved, nearest and decimal(math.max(nearest, 0)) or '' }
