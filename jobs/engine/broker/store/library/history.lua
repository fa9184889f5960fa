-- A job's history. Each entry is one event: it is published, and goes to the owner's feed and to webhooks.

local KEEP_EVENTS = 200
local KEEP_FEED = 10000
local FEED_SECONDS = 86400

-- Add an event to its owner's feed: '<position> <job> <version>'. Positions have no gaps. A feed that has expired begins
-- again at the time in microseconds, which is higher than any earlier position.
local function feed(id, version)
  local user = redis.call('HGET', job_key(id), 'user')
  if not user or user == '' then return end
  local key = 'wh:feed:' .. user
  if redis.call('EXISTS', 'wh:user:' .. user) == 0 then
    redis.call('DEL', key)
    return
  end
  local last = redis.call('LINDEX', key, -1)
  local position = whole(last and tonumber(string.match(last, '^%d+')) + 1 or SECONDS * 1e6 + MICROS)
  local length = redis.call('RPUSH', key, position .. ' ' .. id .. ' ' .. whole(version))
  if length > KEEP_FEED then redis.call('LTRIM', key, -KEEP_FEED, -1) end
  redis.call('EXPIRE', key, FEED_SECONDS)
  redis.call('PUBLISH', key, position)
end

-- Put an event into the outbox if it is to be sent to a webhook: '<job> <event>'. The scheduler makes jobs of it, and
-- removes it in the step that stores them. Progress is only for streams.
local function announce(id, kind, text)
  if kind == 'job_progress' then return end
  local job = redis.call('HMGET', job_key(id), 'user', 'webhook_url')
  local of_job = job[2] and (kind == 'job_completed' or kind == 'job_failed' or kind == 'job_cancelled')
  if of_job or (job[1] and job[1] ~= '' and redis.call('EXISTS', 'wh:webhooks:' .. job[1]) == 1) then
    redis.call('RPUSH', 'wh:outbox', id .. ' ' .. text)
  end
end

-- Add an event to a job's history. Progress replaces the progress right before it.
local function emit(id, kind, entry)
  entry.version = redis.call('HINCRBY', job_key(id), 'version', 1)
  entry.type = kind
  entry.at = NOW_ISO
  local text = cjson.encode(entry)
  local log = events_key(id)
  local last = kind == 'job_progress' and redis.call('LINDEX', log, -1)
  if last and string.find(last, '"type":"job_progress"', 1, true) then
    redis.call('LSET', log, -1, text)
  else
    redis.call('RPUSH', log, text)
    redis.call('LTRIM', log, -KEEP_EVENTS, -1)
  end
  redis.call('PUBLISH', 'wh:job:' .. id, entry.version .. ' ' .. kind)
  feed(id, entry.version)
  announce(id, kind, text)
  measure_event(id, kind, entry)
  return entry.version
end
