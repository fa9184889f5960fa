-- Read jobs. ARGV: ids. For each: its record, its last RQ result, and how many its queue has popped; nothing if it is gone.
local found = {}
for _, id in ipairs(ARGV) do
  local record = redis.call('HGETALL', job_key(id))
  if #record > 0 then
    local queue = redis.call('HGET', job_key(id), 'origin') or ''
    found[#found + 1] = { id, record, redis.call('XREVRANGE', results_key(id), '+', '-', 'COUNT', 1),
      redis.call('GET', 'wh:popped:' .. queue) or '0' }
  end
end
return { found, decimal(NOW) }
