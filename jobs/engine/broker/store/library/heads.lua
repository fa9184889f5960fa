-- Whether the job at the head of a queue may start. Everything that can make a head wait is decided here.
-- Requires: limits.

-- Return the limit or pause that this job must wait for, or nothing if it may start now. Then it has its slots: jobs that
-- were put back have kept them.
local function limit_to_wait_for(job, user_limit)
  local pause = pause_of(job)
  if pause then
    free_slots(job)
    return pause
  end
  if job.slots then return end
  return take_slots(job, user_limit)
end
