-- Remove a schedule. ARGV: id. Returns 1, or 0 if it does not exist.
-- Requires: schedules.
local id = ARGV[1]
local user = redis.call('HGET', schedule_key(id), 'user')
redis.call('ZREM', 'wh:schedules', id)
redis.call('ZREM', WAITING_SCHEDULES, id)
if not user then return 0 end
redis.call('SREM', 'wh:schedules:' .. user, id)
redis.call('DEL', runs_key(id))
return redis.call('DEL', schedule_key(id))
