-- Remove a job of a user who is being removed. ARGV: job, user.
-- A running job is cancelled, and marked so that the end of its execution deletes it. Until then it has no owner, and it
-- no longer belongs to a group, reports to a webhook or has a unique key. Any other job is deleted now.
-- Requires: endings.
local id, user = ARGV[1], ARGV[2]
local job = load_job(id)
local key, status = job.key, STATUS[job.status]
if status == 'running' then
  redis.call('HSET', key, 'cancel', 1, 'removed', 1, 'user', '')
  redis.call('HDEL', key, 'group', 'webhook_url', 'unique')
  if job.unique then free_unique(id, job.unique) end
  local score = redis.call('ZSCORE', index_key(user, 'running'), id)
  redis.call('ZADD', index_key('', 'running'), score or whole(SECONDS * 1e6 + MICROS), id)
elseif status == 'pending' then
  redis.call('ZREM', 'rq:scheduled:' .. job.origin, id)
  redis.call('ZREM', 'rq:deferred:' .. job.origin, id)
  job.user, job.removed = user, '1'
  end_job(job, 'cancelled', {})
elseif status then
  job.user = user
  erase(job, status)
end
-- All jobs of a group belong to the same user.
if job.group then redis.call('DEL', group_key(job.group), ended_key(job.group)) end
for _, each in ipairs({ 'pending', 'running', 'completed', 'failed', 'cancelled' }) do
  redis.call('ZREM', index_key(user, each), id)
end
return 1
