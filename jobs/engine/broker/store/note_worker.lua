-- Note that a worker is alive, and its memory. ARGV: worker, bytes, the record's time to live.
-- Returns 1 if it has been asked to take no more jobs, or else 0; -1 if its record has expired.
-- Requires: times.
local key = 'rq:worker:' .. ARGV[1]
if redis.call('HEXISTS', key, 'birth') == 0 then return -1 end
redis.call('HSET', key, 'memory', ARGV[2], 'last_heartbeat', now_iso())
redis.call('EXPIRE', key, ARGV[3])
return redis.call('HEXISTS', key, 'draining')
