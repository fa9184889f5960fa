-- The generic cell rate algorithm. The key holds the theoretical arrival time (µs) of the next request: the whole `count`
-- may come at once, then one every `period / count` seconds. Returns the microseconds by which this one is too early (0: it
-- is counted), then what the write returned: it fails while the broker is out of memory, and the caller decides what then.
local function charge(key, count, period)
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local interval = period * 1000000 / count
    local arrival = math.max(tonumber(redis.call('GET', key) or 0), now)
    local early = arrival + interval - now - period * 1000000
    if early > 0 then return math.ceil(early), nil end
    local value = string.format('%.0f', arrival + interval)
    return 0, redis.pcall('SET', key, value, 'PX', math.ceil((arrival + interval - now) / 1000) + 1)
end
