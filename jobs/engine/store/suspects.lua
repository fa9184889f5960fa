-- Find executions whose lease has run out. ARGV: seconds between the first and the second look.
-- A lease is given up only when it was seen expired twice, a heartbeat apart, with the broker answering in between:
-- after an outage of the broker every lease has expired, and every live worker needs the time to say that it lives.
local patience = tonumber(ARGV[1])
local dead = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'wh:leases', '-inf', decimal(NOW), 'LIMIT', 0, 100)) do
  local seen = tonumber(redis.call('HGET', 'wh:suspects', member) or '')
  if not seen then
    redis.call('HSET', 'wh:suspects', member, decimal(NOW))
  elseif NOW - seen >= patience then
    dead[#dead + 1] = member
  end
end
return dead
