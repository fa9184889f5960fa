-- Find executions whose lease has run out. ARGV: seconds between the first look and the second.
-- Returns job, execution and the job's deaths in a row, for each.
-- A lease counts as given up only if it was seen expired twice, a heartbeat apart, while the broker answered in between:
-- after an outage of the broker every lease has expired, and every live worker needs time for its next heartbeat.
-- Requires: times, jobs.
local suspicion = tonumber(ARGV[1])
local dead = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'wh:leases', '-inf', decimal(NOW), 'LIMIT', 0, 1000)) do
  local id, execution = string.match(member, '^(.*):([^:]*)$')
  local seen = tonumber(redis.call('HGET', 'wh:suspects', member) or '')
  if not id or redis.pcall('HGET', job_key(id), 'execution') ~= execution then
    -- The job is gone, or another execution holds it, or it never existed: there is nothing to take away.
    redis.call('ZREM', 'wh:leases', member)
    redis.call('HDEL', 'wh:suspects', member)
  elseif not seen then
    redis.call('HSET', 'wh:suspects', member, decimal(NOW))
  elseif NOW - seen >= suspicion then
    dead[#dead + 1] = { id, execution, redis.call('HGET', job_key(id), 'deaths') or '0' }
  end
end
return dead
