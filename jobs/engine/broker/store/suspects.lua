-- Find executions whose lease has run out. ARGV: seconds between the first and the second look.
-- A lease is given up only when it was seen expired twice, a heartbeat apart, with the broker answering in between:
-- after an outage of the broker every lease has expired, and every live worker needs the time to say that it lives.
local patience = tonumber(ARGV[1])
local dead = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'wh:leases', '-inf', decimal(NOW), 'LIMIT', 0, 1000)) do
  local id, execution = string.match(member, '^(.*):([^:]*)$')
  local seen = tonumber(redis.call('HGET', 'wh:suspects', member) or '')
  if not id or redis.pcall('HGET', job_key(id), 'execution') ~= execution then
    -- The job is gone, or somebody else's by now, or never was one: nothing to take from a holder that holds nothing.
    redis.call('ZREM', 'wh:leases', member)
    redis.call('HDEL', 'wh:suspects', member)
  elseif not seen then
    redis.call('HSET', 'wh:suspects', member, decimal(NOW))
  elseif NOW - seen >= patience then
    dead[#dead + 1] = member
  end
end
return dead
