-- Prolong a lease. ARGV: worker, job, execution, lease, worker's time to live. Returns held, cancel or lost.
-- Requires: times, jobs.
local worker, id, execution = ARGV[1], ARGV[2], ARGV[3]
local key = job_key(id)
redis.call('HSET', 'rq:worker:' .. worker, 'last_heartbeat', now_iso())
redis.call('EXPIRE', 'rq:worker:' .. worker, ARGV[5])
local held = redis.call('HMGET', key, 'execution', 'cancel')
if held[1] ~= execution then return 'lost' end
local member = id .. ':' .. execution
redis.call('ZADD', 'wh:leases', decimal(NOW + tonumber(ARGV[4])), member)
redis.call('HDEL', 'wh:suspects', member)
redis.call('HSET', 'rq:execution:' .. member, 'last_heartbeat', decimal(NOW))
redis.call('HSET', key, 'last_heartbeat', now_iso())
return held[2] and 'cancel' or 'held'
