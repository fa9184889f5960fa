-- Cancel a job. ARGV: job. A running one is marked, and its worker stops it; a waiting one ends at once.
-- Its entry stays in the queue's list, where the claim drops it: taking it out of the middle costs more the longer the queue.
local id = ARGV[1]
local job = redis.call('HMGET', job_key(id), 'status', 'origin', 'user', 'version')
if not job[1] then return 'missing' end
local status = STATUS[job[1]]
if status == 'running' then
  redis.call('HSET', job_key(id), 'cancel', 1)
  return 'running'
end
if status ~= 'pending' then return 'ended' end
redis.call('ZREM', 'rq:scheduled:' .. job[2], id)
redis.call('ZREM', 'rq:deferred:' .. job[2], id)
end_job(id, job[2], job[3] or '', 'cancelled', {})
return 'cancelled'
