-- Store a schedule. ARGV: id, user, record, first tick, a user's limit of schedules. Returns a verdict (verdicts.py).
local id, user = ARGV[1], ARGV[2]
if redis.call('EXISTS', 'wh:user:' .. user) == 0 then return 'no_user' end
if redis.call('SCARD', 'wh:schedules:' .. user) >= tonumber(ARGV[5]) then return 'too_many' end
redis.call('HSET', 'wh:schedule:' .. id, 'user', user, 'record', ARGV[3])
redis.call('SADD', 'wh:schedules:' .. user, id)
redis.call('ZADD', 'wh:schedules', ARGV[4], id)
return 'stored'
