-- Cancel jobs that have not started by their deadline. ARGV: how many at most. Returns how many deadlines had passed.
-- Requires: deadlines.
local passed = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', decimal(NOW), 'LIMIT', 0, ARGV[1])
for _, id in ipairs(passed) do
  redis.call('ZREM', DEADLINES, id)
  local known, job = pcall(load_job, id)
  if known and STATUS[job.status] == 'pending' and not job.attempt and job.start_by then end_late(job) end
end
return #passed
