-- Ask a worker to take no more jobs, or withdraw that. ARGV: worker, '1' or ''. Returns 0 if there is no such worker.
-- Requires: times, queues.
local key = 'rq:worker:' .. ARGV[1]
if not readable('HGET', key, 'state') then return 0 end
if ARGV[2] == '1' then
  redis.call('HSET', key, 'draining', now_iso())
else
  redis.call('HDEL', key, 'draining')
end
-- An idle worker listens to a doorbell of its own. It may have died.
ring(ARGV[1])
redis.call('EXPIRE', doorbell_key(ARGV[1]), 60)
return 1
