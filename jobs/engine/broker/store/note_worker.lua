-- Note a worker's memory. ARGV: worker, bytes. Returns 1 if it has been asked to take no more jobs, or else 0;
-- -1 if its record has expired.
local key = 'rq:worker:' .. ARGV[1]
if redis.call('HEXISTS', key, 'birth') == 0 then return -1 end
redis.call('HSET', key, 'memory', ARGV[2])
return redis.call('HEXISTS', key, 'draining')
