-- What operators have paused: `wh:control`, a hash of pauses as JSON by `queue:<queue>` and `type:<job type>`; and RQ's own
-- suspension of all workers.
-- Requires: times, malformed, queues.

local CONTROL, SUSPENDED = 'wh:control', 'rq:suspended'
-- The limits and pauses whose jobs claims put back, by the time from which on.
local ROOM = 'wh:room'

-- What the step with these arguments has read.
local control_of, control

-- Read all pauses, once in a step. In most steps there is nothing to read, and one command says so.
local function read_control()
  if control_of == ARGV then return control end
  control_of, control = ARGV, { pauses = {} }
  if redis.call('EXISTS', CONTROL, SUSPENDED, ROOM) == 0 then return control end
  control.suspended = redis.call('EXISTS', SUSPENDED) == 1
  control.room = redis.call('EXISTS', ROOM) == 1
  local fields = readable('HGETALL', CONTROL) or {}
  for place = 1, #fields, 2 do
    local pause = decoded(fields[place + 1])
    if type(pause.at) == 'string' then control.pauses[fields[place]] = tonumber(tostring(pause.ends)) or math.huge end
  end
  return control
end

local function is_paused(subject)
  return (read_control().pauses[subject] or 0) > NOW
end

-- The pause of a priority is also that of its queues with needs.
local function queue_is_paused(queue)
  if not next(read_control().pauses) then return false end
  return is_paused('queue:' .. queue) or is_paused('queue:' .. string.match(queue, '^[^@]*'))
end

-- Return true if workers take jobs from a queue: it is not paused, and a live worker serves it.
local function queue_is_open(queue)
  return not queue_is_paused(queue) and redis.call('EXISTS', served_key(queue)) == 1
end

-- Return what a job waits for like for a limit while its type is paused, or nothing.
local function pause_of(job)
  if job.type and is_paused('type:' .. job.type) then return 'pause:' .. job.type end
end
