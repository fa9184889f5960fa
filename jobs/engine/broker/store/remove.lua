-- Remove a job of a user who is being removed. ARGV: job, user.
-- A running job is cancelled, and ends without an owner; any other job is deleted.
-- Requires: endings.
local id, user = ARGV[1], ARGV[2]
local job = load_job(id)
local key, status = job.key, STATUS[job.status]
if status == 'running' then
  redis.call('HSET', key, 'cancel', 1, 'user', '')
  local score = redis.call('ZSCORE', index_key(user, 'running'), id)
  redis.call('ZADD', index_key('', 'running'), score or whole(SECONDS * 1e6 + MICROS), id)
elseif status then
  if status == 'pending' then
    redis.call('ZREM', 'rq:scheduled:' .. job.origin, id)
    redis.call('ZREM', 'rq:deferred:' .. job.origin, id)
    job.user = user
    end_job(job, 'cancelled', {})
    status = 'cancelled'
  end
  redis.call('ZREM', REGISTRY[status] .. job.origin, id)
  redis.call('ZREM', 'wh:expiry', id .. '|' .. user .. '|' .. status)
  redis.call('DEL', unpack(owned_keys(id)))
end
-- All jobs of a group belong to the same user.
if job.group then redis.call('DEL', group_key(job.group), ended_key(job.group)) end
for _, each in ipairs({ 'pending', 'running', 'completed', 'failed', 'cancelled' }) do
  redis.call('ZREM', index_key(user, each), id)
end
return 1
