-- Put back those that wait for a limit that has room. ARGV: limits to look at, picked by chance. Answers how many have none left.
-- The finish that makes room does this at once; here it is done for what no finish told of: a limit that was raised, a
-- record that somebody deleted, more jobs to move than one script may.
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
