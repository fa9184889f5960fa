-- Count a request by the generic cell rate algorithm. The key holds the theoretical arrival time of the next request, in
-- microseconds: `count` requests may come at once, then one every `period / count` seconds.
-- Returns 0 if the request is counted, or the microseconds by which it is too early; and the reply to the write, which
-- fails while the broker is out of memory: the caller decides what that means.
-- Requires: times.

local function charge(key, count, period)
  local now = SECONDS * 1000000 + MICROS
  local interval = period * 1000000 / count
  local stored = redis.pcall('GET', key)
  local arrival = math.max(type(stored) == 'string' and tonumber(stored) or 0, now)
  local early = arrival + interval - now - period * 1000000
  if early > 0 then return math.ceil(early), nil end
  return 0, redis.pcall('SET', key, whole(arrival + interval), 'PX', math.ceil((arrival + interval - now) / 1000) + 1)
end
