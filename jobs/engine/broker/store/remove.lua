-- Remove a job of a user who is being removed. ARGV: job, user.
-- A running job is cancelled, and ends without an owner; any other job is deleted.
local id, user = ARGV[1], ARGV[2]
local key = job_key(id)
local job = redis.call('HMGET', key, 'status', 'origin', 'group')
local status = STATUS[job[1]]
if status == 'running' then
  redis.call('HSET', key, 'cancel', 1, 'user', '')
  local score = redis.call('ZSCORE', index_key(user, 'running'), id)
  redis.call('ZADD', index_key('', 'running'), score or whole(SECONDS * 1e6 + MICROS), id)
elseif status then
  if status == 'pending' then
    redis.call('ZREM', 'rq:scheduled:' .. job[2], id)
    redis.call('ZREM', 'rq:deferred:' .. job[2], id)
    end_job(id, job[2], user, 'cancelled', {})
    status = 'cancelled'
  end
  redis.call('ZREM', REGISTRY[status] .. job[2], id)
  redis.call('ZREM', 'wh:expiry', id .. '|' .. user .. '|' .. status)
  redis.call('DEL', key, events_key(id), logs_key(id), checkpoint_key(id), results_key(id), dependents_key(id))
end
-- All jobs of a group belong to the same user.
if job[3] then redis.call('DEL', group_key(job[3]), ended_key(job[3])) end
for _, each in ipairs({ 'pending', 'running', 'completed', 'failed', 'cancelled' }) do
  redis.call('ZREM', index_key(user, each), id)
end
return 1
