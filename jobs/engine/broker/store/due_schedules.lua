-- Find the ticks that are due, those first that waited for a job which has ended. ARGV: how many of each at most.
-- Returns the time, and for each: schedule, tick, user, record, revision, and '1' if it waited.
-- Requires: schedules.
local most = tonumber(ARGV[1])
local found = {}
local function add(id, tick, waited)
  local schedule = readable('HMGET', schedule_key(id), 'user', 'record', 'revision')
  if not schedule then
    -- Something else has written this key. It must not hide the other schedules; it is read again in an hour.
    redis.call('ZADD', 'wh:schedules', whole(NOW + 3600), id)
    return
  end
  found[#found + 1] = { id, tick, schedule[1] or '', schedule[2] or '', schedule[3] or '0', waited }
end

-- Some of the waiting ones in each pass, in turn, so that a pass costs the same however many there are.
local LOOK = 250
local waiting = readable('ZRANGE', WAITING_SCHEDULES, 0, LOOK - 1) or {}
for _, id in ipairs(waiting) do
  local due = readable('HGET', schedule_key(id), 'waiting')
  if not due or not tonumber(due) then
    redis.call('ZREM', WAITING_SCHEDULES, id)
  elseif #found < most and #unfinished_jobs(id) == 0 then
    add(id, due, '1')
  elseif #waiting == LOOK then
    redis.call('ZADD', WAITING_SCHEDULES, decimal(NOW), id)
  end
end

local due = redis.call('ZRANGEBYSCORE', 'wh:schedules', '-inf', whole(NOW - 0.5), 'WITHSCORES', 'LIMIT', 0, ARGV[1])
for place = 1, #due, 2 do add(due[place], due[place + 1], '') end
return { decimal(NOW), found }
