-- Waiting for a limit or for the end of a pause. A head that can't start is set aside: into a list for its limit and queue,
-- in the order of that queue. When the limit has room, its first jobs are called back to the heads of their queues. Being
-- called back reserves nothing: the claim decides. But as many jobs are called back as there are free places, so a
-- limit counts the jobs that it has called back and that are still in their queues.
-- Requires: history, limits, control.

-- Jobs that one script moves from one limit to another.
local MOST_MOVES = 100
-- Jobs that are called back at once after a pause.
local MOST_BACK = 10
-- Limits with room that one claim looks at.
local MOST_LOOKS = 5
-- Seconds until a limit is looked at again whose free places all have a job that was called back.
local LOOK_SECONDS = 0.25
local function waiting_key(limit, queue) return 'wh:limited:' .. queue .. ':' .. limit end
local function called_key(limit) return 'wh:called:' .. limit end

-- Have the jobs called back that wait for a limit, from a time on.
local function give_room(limit, from)
  redis.call('ZADD', ROOM, decimal(from or NOW), limit)
end

-- Record that limits have called back a job, which is in its queue; and its turn, in case it must wait again.
local function call(id, limits, turn)
  for limit in string.gmatch(limits, '[^ ]+') do redis.call('SADD', called_key(limit), id) end
  local changes = { 'called', limits }
  if turn then append(changes, 'turn', turn) end
  return changes
end

-- Record that a job is no longer in the queue to which its limits have called it back. Unless it was claimed, the limits
-- have room for others.
local function call_off(job, claimed)
  if not job.called then return end
  for limit in string.gmatch(job.called, '[^ ]+') do
    if redis.call('SREM', called_key(limit), job.id) == 1 and not claimed then give_room(limit) end
  end
  redis.call('HDEL', job.key, 'called', 'turn')
end

-- Let a job wait for a limit, and return what changes in its record. RQ sees it as deferred.
local function set_aside(job, queue, limit, number)
  local name, period = limit[1], limit[3]
  call_off(job)
  redis.call('ZADD', waiting_key(name, queue), job.turn or number or 0, job.id)
  redis.call('SADD', 'wh:limited', name)
  if period > 0 then give_room(name, next_place(limit)) end
  redis.call('ZADD', 'rq:deferred:' .. queue, whole(NOW), job.id)
  return { 'status', 'deferred', 'reason', 'limited', 'limited_by', name }
end

-- Forget that a job waits for a limit.
local function no_longer_waits(job)
  if not job.limited_by then return end
  redis.call('ZREM', waiting_key(job.limited_by, job.origin), job.id)
  redis.call('ZREM', 'rq:deferred:' .. job.origin, job.id)
  redis.call('HDEL', job.key, 'limited_by')
end

-- Return the first job that waits for a limit and could run, its queue and its number; or nothing, and true if jobs wait in
-- queues that are not open or whose workers are busy. A job that is called back to such a queue would keep its place from
-- jobs that could run.
local function first_waiting(limit, queues, busy)
  local closed = false
  for _, queue in ipairs(queues) do
    local first = redis.call('ZRANGE', waiting_key(limit, queue), 0, 0, 'WITHSCORES')
    if first[1] and not (busy and busy[queue]) and queue_is_open(queue) then return first[1], queue, first[2] end
    closed = closed or first[1] ~= nil
  end
  return nil, closed
end

local function is_pause(name) return string.sub(name, 1, 6) == 'pause:' end

-- Return the limit or pause that a job must wait for now, or nothing. `called` jobs will take a place of the limit `name`.
local function limit_without_room(job, user_limit, name, called)
  local pause = pause_of(job)
  if pause then return { pause, 0, 0 } end
  for _, limit in ipairs(limits_of(job, user_limit)) do
    if free_places(limit) < (limit[1] == name and called + 1 or 1) then return limit end
  end
  if called >= MOST_BACK and is_pause(name) then return { name, 0, 0, again = true } end
end

-- Call jobs that wait for a limit back to the heads of their queues, in order, as long as there is room.
-- A job whose other limit is full waits for that one instead. `busy` queues, if any, are left out: their workers have not
-- yet taken the `stuck` jobs that were called back to them.
local function put_back(name, busy, stuck)
  local user_limit = tonumber(redis.call('GET', USER_LIMIT) or '0')
  local called = redis.call('SCARD', called_key(name)) - (stuck or 0)
  -- After a pause, many jobs would come before those that are still at the heads of their queues.
  if called > 0 and is_pause(name) then return give_room(name) end
  local queues, back, look_at = our_queues(), {}, NOW
  for _ = 1, MOST_MOVES do
    local id, queue, number = first_waiting(name, queues, busy)
    if not id then
      -- While jobs wait in other queues, the scheduler looks again.
      if not queue then redis.call('SREM', 'wh:limited', name) end
      look_at = nil
      break
    end
    local job = load_job(id)
    -- A record that none of our scripts has written must not stop the step that makes room: the claim refuses it.
    local known, limit = pcall(limit_without_room, job, user_limit, name, called + #back)
    if not known or job.limited_by ~= name then limit = nil end
    if limit and limit[1] == name then
      -- A running limit gets room from the end of an execution, and a pause from its own end.
      if limit[3] > 0 then look_at = math.max(next_place(limit), NOW + LOOK_SECONDS) end
      if limit[3] == 0 and not limit.again then look_at = nil end
      break
    end
    redis.call('ZREM', waiting_key(name, queue), id)
    if limit then
      redis.call('HSET', job.key, unpack(set_aside(job, queue, limit, number)))
    elseif job.limited_by == name then
      back[#back + 1] = { job, queue, number }
    end
  end
  for position = #back, 1, -1 do
    local job, queue = back[position][1], back[position][2]
    redis.call('ZREM', 'rq:deferred:' .. queue, job.id)
    redis.call('HDEL', job.key, 'limited_by')
    local changes = push(job.id, queue, true)
    append(changes, unpack(call(job.id, name, back[position][3])))
    emit(job, 'job_queued', { status = 'pending', reason = 'queued' }, changes)
  end
  if look_at then give_room(name, look_at) else redis.call('ZREM', ROOM, name) end
end

-- Call back jobs of limits that have room, and return how many limits had.
local function use_room(most)
  if not read_control().room then return 0 end
  local names = redis.call('ZRANGEBYSCORE', ROOM, '-inf', decimal(NOW), 'LIMIT', 0, most)
  for _, name in ipairs(names) do put_back(name) end
  return #names
end

-- Free the places of an execution, and let no other job have them yet. The caller takes the field `slots` from the record.
local function leave_slots(job)
  if not job.slots then return end
  for limit in string.gmatch(job.slots, '[^ ]+') do redis.call('SREM', slots_key(limit), job.id) end
end

-- Free the places of an execution that has ended, for jobs that wait for them. The caller takes the field `slots` from the
-- record.
local function free_slots(job)
  if not job.slots then return end
  leave_slots(job)
  for limit in string.gmatch(job.slots, '[^ ]+') do
    if redis.call('SISMEMBER', 'wh:limited', limit) == 1 then put_back(limit) end
  end
end
