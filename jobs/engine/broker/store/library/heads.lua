-- Whether the job at the head of a queue may start. Everything that can make a head wait is decided here.
-- Requires: limits.

-- Return the limit that this job must wait for, or nothing if it may start now. Then it has its slots: jobs that were put
-- back have kept them.
local function limit_to_wait_for(job, user_limit)
  if job.slots then return end
  return take_slots(job, user_limit)
end
