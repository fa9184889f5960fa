-- Skip a tick of a schedule, and record why. ARGV: id, tick, next tick, reason.
if tonumber(redis.call('ZSCORE', 'wh:schedules', ARGV[1]) or '') ~= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', 'wh:schedules', ARGV[3], ARGV[1])
redis.call('HSET', 'wh:schedule:' .. ARGV[1], 'problem', ARGV[4])
return 1
