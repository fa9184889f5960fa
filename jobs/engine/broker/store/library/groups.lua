-- Groups: jobs that were submitted together. A group has a record, and a list of how its jobs ended, which outlives the
-- records of the jobs.
-- Requires: times.

local function group_key(group) return 'wh:group:' .. group end
local function ended_key(group) return 'wh:group:' .. group .. ':ended' end

-- Record that a job of a group has ended. The group expires with the last of its jobs to end.
-- Only here is it known that a whole group has ended.
local function end_in_group(group, id, status, ttl)
  redis.call('HSET', ended_key(group), id, status)
  local total = tonumber(redis.call('HGET', group_key(group), 'total') or '0')
  if redis.call('HLEN', ended_key(group)) >= total then
    redis.call('EXPIRE', group_key(group), ttl)
    redis.call('EXPIRE', ended_key(group), ttl)
    if redis.call('HEXISTS', group_key(group), 'webhook_url') == 1 then
      redis.call('RPUSH', 'wh:outbox', 'group:' .. group .. ' ' .. cjson.encode({ at = now_iso() }))
    end
  end
end

-- Record that a job of a group runs again.
local function begin_in_group(group, id)
  redis.call('HDEL', ended_key(group), id)
  redis.call('PERSIST', ended_key(group))
  redis.call('PERSIST', group_key(group))
end
