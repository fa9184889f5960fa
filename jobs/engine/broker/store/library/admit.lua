-- Admit a request. It needs charge.lua. The process may have cached the credential for a few seconds, so it is checked again.
-- Returns 0 if the request is admitted and counted, the microseconds by which it is too early, or -1 if the credential or
-- its user is gone. Failed writes are ignored: a broker that is out of memory still serves reads.
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
