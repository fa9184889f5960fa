-- The end of a pause.
-- Requires: waiting.

-- Remove a pause, and wake the workers that may take its jobs. Claims put back those that wait for a job type.
local function end_pause(subject)
  redis.call('HDEL', CONTROL, subject)
  local job_type = string.match(subject, '^type:(.*)$')
  if job_type then give_room('pause:' .. job_type) end
  for _, queue in ipairs(our_queues()) do ring(queue) end
end

-- Remove the pauses whose time has passed.
local function end_expired_pauses()
  for subject, ends in pairs(read_control().pauses) do
    if ends <= NOW then end_pause(subject) end
  end
end
