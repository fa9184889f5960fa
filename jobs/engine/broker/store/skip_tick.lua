-- Pass over a tick of a schedule, and say why. ARGV: id, tick, the next one, the reason.
if tonumber(redis.call('ZSCORE', 'wh:schedules', ARGV[1]) or '') ~= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', 'wh:schedules', ARGV[3], ARGV[1])
redis.call('HSET', 'wh:schedule:' .. ARGV[1], 'problem', ARGV[4])
return 1
