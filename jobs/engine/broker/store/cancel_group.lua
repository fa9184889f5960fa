-- Cancel what has not ended of a group. ARGV: group. Answers how many were cancelled or are to be.
-- The last one first: one that waits for another is cancelled for its own sake, not because the other was.
local ids = cjson.decode(redis.call('HGET', group_key(ARGV[1]), 'job_ids') or '[]')
local cancelled = 0
for position = #ids, 1, -1 do
  local verdict = cancel_job(ids[position])
  if verdict == 'cancelled' or verdict == 'stopping' then cancelled = cancelled + 1 end
end
return cancelled
