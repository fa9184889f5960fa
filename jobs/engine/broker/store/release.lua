-- End our lease on a job of plain RQ, which has taken rq's own path to its end. ARGV: job, execution, worker.
-- Requires: jobs.
local id, execution, worker = ARGV[1], ARGV[2], ARGV[3]
local member = id .. ':' .. execution
redis.call('ZREM', 'wh:leases', member)
redis.call('HDEL', 'wh:suspects', member)
if redis.call('HGET', job_key(id), 'execution') == execution then redis.call('HDEL', job_key(id), 'execution', 'deaths') end
if redis.call('HGET', 'rq:worker:' .. worker, 'execution') == execution then
  redis.call('HDEL', 'rq:worker:' .. worker, 'execution')
end
return 1
