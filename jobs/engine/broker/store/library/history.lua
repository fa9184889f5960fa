-- A job's history. Each entry is one event: it is published, and goes to the owner's feed and to webhooks.
-- Requires: times, jobs, counts.

local KEEP_EVENTS = 200
local KEEP_FEED = 10000
local SLACK = 100
local FEED_SECONDS = 86400

-- Add an event to its owner's feed: '<position> <job> <version>'. Positions have no gaps. A feed that has expired begins
-- again at the time in microseconds, which is higher than any earlier position.
-- Removing a user takes their jobs first and the feed last, so no job writes to the feed of a user who is gone.
local function feed(job)
  local user = job.user
  if not user or user == '' then return end
  local key = 'wh:feed:' .. user
  local position = positions[user]
  if not position then
    local last = redis.call('LINDEX', key, -1)
    position = last and tonumber(string.match(last, '^%d+')) or SECONDS * 1e6 + MICROS - 1
  end
  local length = redis.call('RPUSH', key, whole(position + 1) .. ' ' .. job.id .. ' ' .. job.version)
  -- Not at every event, because a long feed would be cut each time.
  if length >= KEEP_FEED + SLACK then redis.call('LTRIM', key, -KEEP_FEED, -1) end
  if not positions[user] then redis.call('EXPIRE', key, FEED_SECONDS) end
  positions[user] = position + 1
  redis.call('PUBLISH', key, whole(position + 1))
end

local function has_webhooks(user)
  if not user or user == '' then return false end
  subscribed[user] = subscribed[user] or redis.call('EXISTS', 'wh:webhooks:' .. user)
  return subscribed[user] == 1
end

-- Put an event into the outbox if it is to be sent to a webhook: '<job> <event>'. The scheduler makes jobs of it, and
-- removes it in the step that stores them. Progress is only for streams.
local function announce(job, kind, text)
  if kind == 'job_progress' then return end
  local of_job = job.webhook_url and (kind == 'job_completed' or kind == 'job_failed' or kind == 'job_cancelled')
  if of_job or has_webhooks(job.user) then redis.call('RPUSH', 'wh:outbox', job.id .. ' ' .. text) end
end

-- Add an event to a job's history. Progress replaces the progress right before it.
-- `changes` are fields of the record and their values, which are written together with its new version.
local function emit(job, kind, entry, changes)
  job.version = (tonumber(job.version or '') or 0) + 1
  entry.version = job.version
  entry.type = kind
  entry.at = now_iso()
  local text = cjson.encode(entry)
  redis.call('HSET', job.key, 'version', job.version, unpack(changes or {}))
  local log = events_key(job.id)
  local last = kind == 'job_progress' and redis.call('LINDEX', log, -1)
  if last and string.find(last, '"type":"job_progress"', 1, true) then
    redis.call('LSET', log, -1, text)
  elseif redis.call('RPUSH', log, text) > KEEP_EVENTS then
    redis.call('LTRIM', log, -KEEP_EVENTS, -1)
  end
  -- Nothing follows a job before it exists.
  if job.version > 1 then redis.call('PUBLISH', 'wh:job:' .. job.id, job.version .. ' ' .. kind) end
  feed(job)
  announce(job, kind, text)
  measure_event(job, kind, entry)
end
