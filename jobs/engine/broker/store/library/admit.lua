-- Admit a request. The process may have cached the credential for a few seconds, so it is checked again.
-- Returns 0 if the request is admitted and counted, the microseconds by which it is too early, or -1 if the credential or
-- its user is gone. Failed writes are ignored: a broker that is out of memory still serves reads.
-- Requires: charge.

local function admit(admission)
  local user, generation, count, period, proofs = unpack(cjson.decode(admission))
  local record = 'wh:user:' .. user
  local found = redis.call('HMGET', record, 'generation', 'last_request_at')
  if found[1] ~= generation then return -1 end
  if #proofs > 0 and redis.call('EXISTS', unpack(proofs)) < #proofs then return -1 end
  local early = charge('wh:rate:' .. user, count, period)
  if early == 0 then
    redis.pcall('HINCRBY', record, 'request_count', 1)
    local second = whole(SECONDS)
    if found[2] ~= second then redis.pcall('HSET', record, 'last_request_at', second) end
  end
  return early
end
