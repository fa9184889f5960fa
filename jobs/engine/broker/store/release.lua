-- End our lease on a job of plain RQ, which has taken rq's own path to its end. ARGV: job, execution, worker.
-- Requires: endings.
local id, execution, worker = ARGV[1], ARGV[2], ARGV[3]
local member = id .. ':' .. execution
redis.call('ZREM', 'wh:leases', member)
redis.call('HDEL', 'wh:suspects', member)
local held = redis.call('HMGET', job_key(id), 'execution', 'cancel')
if held[1] == execution then
  redis.call('HDEL', job_key(id), 'execution', 'deaths', 'cancel')
  -- It failed before its worker stopped it, and RQ would try it again.
  if held[2] then cancel_job(id) end
end
if redis.call('HGET', 'rq:worker:' .. worker, 'execution') == execution then
  redis.call('HDEL', 'rq:worker:' .. worker, 'execution')
end
return 1
