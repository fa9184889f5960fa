-- Let a request in, needs charge.lua. What its caller authenticated with may be cached for some seconds, so it is checked again.
-- Returns the microseconds by which the request comes too early; 0: it is in, and counted; -1: its caller is gone.
-- Failed writes are ignored: a broker that is out of memory still serves reads.
local function admit(admission)
    local user, generation, count, period, proofs = unpack(cjson.decode(admission))
    local record = 'wh:user:' .. user
    if redis.call('HGET', record, 'generation') ~= generation then return -1 end
    for _, proof in ipairs(proofs) do
        if redis.call('EXISTS', proof) == 0 then return -1 end
    end
    local early = charge('wh:rate:' .. user, count, period)
    if early == 0 then
        redis.pcall('HINCRBY', record, 'request_count', 1)
        redis.pcall('HSET', record, 'last_request_at', redis.call('TIME')[1])
    end
    return early
end
