-- Whether the job at the head of a queue may start. Everything that can make a head wait is decided here.
-- Requires: waiting.

-- Let a job start: it takes a place of each of its limits. Return what changes in its record; or nothing and the limit or
-- pause that it must wait for.
local function admit_head(job, execution, user_limit)
  -- Versions before limits by key gave a job its places when they put it back.
  if job.slots then
    leave_slots(job)
    redis.call('HDEL', job.key, 'slots')
  end
  local pause = pause_of(job)
  if pause then return nil, { pause, 0, 0 } end
  return take_places(job, execution, user_limit)
end
