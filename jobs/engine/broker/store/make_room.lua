-- Put back jobs that wait for a limit that has room. ARGV: how many limits to look at, picked at random.
-- Returns for how many of them no job waits any longer.
-- The script that frees a slot does this at once. This one is for the other cases: a limit that was raised, a record that
-- was deleted, or more jobs to move than one script may.
-- Requires: resuming.
end_expired_pauses()
local emptied = 0
for _, limit in ipairs(redis.call('SRANDMEMBER', 'wh:limited', ARGV[1])) do
  for _, id in ipairs(redis.call('SMEMBERS', slots_key(limit))) do
    local slots = redis.call('HGET', job_key(id), 'slots')
    if not slots or not string.find(' ' .. slots .. ' ', ' ' .. limit .. ' ', 1, true) then
      redis.call('SREM', slots_key(limit), id)
    end
  end
  put_back(limit)
  if not first_waiting(limit) then emptied = emptied + 1 end
end
return emptied
