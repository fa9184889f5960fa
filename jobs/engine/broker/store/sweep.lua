-- Remove expired jobs from the indexes and registries. ARGV: how many at most, queues. Returns how many were removed.
local swept = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', 'wh:expiry', '-inf', decimal(NOW), 'LIMIT', 0, ARGV[1])) do
  local id, user, status = string.match(member, '^([^|]*)|([^|]*)|([^|]*)$')
  redis.call('ZREM', 'wh:expiry', member)
  if REGISTRY[status] then
    redis.call('ZREM', index_key(user, status), id)
    for position = 2, #ARGV do redis.call('ZREM', REGISTRY[status] .. ARGV[position], id) end
  end
  swept = swept + 1
end
return swept
