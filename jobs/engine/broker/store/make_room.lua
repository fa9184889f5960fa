-- Call back jobs that wait for a limit that has room. ARGV: how many limits to look at, at most. Returns how many had room.
-- An execution that ends does this at once for its running limits, and claims do it for rates and pauses. This step is for
-- the other cases: no claim comes, a limit was raised, or a record was deleted.
-- Requires: resuming.

-- A job that was called back and has waited for longer has no idle worker.
local STUCK_SECONDS = 2

end_expired_pauses()
local looked = use_room(ARGV[1])

-- Return true if this field of a job's record names the limit.
local function names(id, field, limit)
  local found = redis.call('HGET', job_key(id), field)
  return found and string.find(' ' .. found .. ' ', ' ' .. limit .. ' ', 1, true)
end

for _, limit in ipairs(redis.call('SRANDMEMBER', 'wh:limited', ARGV[1])) do
  for _, id in ipairs(redis.call('SMEMBERS', slots_key(limit))) do
    if not names(id, 'slots', limit) then redis.call('SREM', slots_key(limit), id) end
  end
  local busy, stuck = {}, 0
  for _, id in ipairs(redis.call('SMEMBERS', called_key(limit))) do
    local job = redis.call('HMGET', job_key(id), 'status', 'origin', 'ready_at')
    if job[1] ~= 'queued' or not names(id, 'called', limit) or not queue_is_open(job[2] or '') then
      redis.call('SREM', called_key(limit), id)
    elseif NOW - (tonumber(job[3] or '') or 0) > STUCK_SECONDS then
      busy[job[2]], stuck = true, stuck + 1
    end
  end
  put_back(limit, busy, stuck)
end
return looked
