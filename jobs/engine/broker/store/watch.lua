-- Find what the scheduler has to do, and wake workers for jobs whose push has rung no doorbell, or whose ring got lost.
-- Returns the names of the chores that have something to do (scheduler.py).
-- Requires: control, deadlines, schedules.
local found = {}
local function has_work(chore, count)
  -- A key of another type: the chore itself reports it.
  if count ~= 0 then found[#found + 1] = chore end
end
local function due(key) return readable('ZCOUNT', key, '-inf', decimal(NOW)) end

local suspended = read_control().suspended
local scheduled = 0
for _, queue in ipairs(our_queues()) do
  if due('rq:scheduled:' .. queue) ~= 0 then scheduled = 1 end
  local waiting = readable('LLEN', queue_key(queue)) or 0
  if waiting > 0 and not suspended and not queue_is_paused(queue) then ring_for_all(queue, waiting) end
end
has_work('promote', scheduled)
has_work('end_late', due(DEADLINES))
has_work('recover', due('wh:leases'))
has_work('use_room', due(ROOM))
has_work('make_room', redis.call('EXISTS', 'wh:limited', CONTROL))
has_work('run_schedules', due('wh:schedules') ~= 0 and 1 or redis.call('EXISTS', WAITING_SCHEDULES))
has_work('empty_outbox', redis.call('EXISTS', 'wh:outbox'))
return found
