-- Remove a schedule. ARGV: id. Returns 1, or 0 if it does not exist.
local id = ARGV[1]
local user = redis.call('HGET', 'wh:schedule:' .. id, 'user')
redis.call('ZREM', 'wh:schedules', id)
if not user then return 0 end
redis.call('SREM', 'wh:schedules:' .. user, id)
return redis.call('DEL', 'wh:schedule:' .. id)
