-- Cancel the jobs of a group that have not ended. ARGV: group. Returns how many were cancelled or are being stopped.
-- The last job comes first: a job that waits for another is cancelled by itself, not because the other was.
-- Requires: endings.
local ids = cjson.decode(redis.call('HGET', group_key(ARGV[1]), 'job_ids') or '[]')
local cancelled = 0
for position = #ids, 1, -1 do
  local verdict = cancel_job(ids[position])
  if verdict == 'cancelled' or verdict == 'stopping' then cancelled = cancelled + 1 end
end
return cancelled
