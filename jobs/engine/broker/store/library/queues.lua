-- Queues and indexes: where a job is found by workers and by its owner.
-- Requires: times, malformed, jobs.

local KEEP_RINGS = 64
local PRIORITIES = { 'high', 'default', 'low' }

-- Return the names of all queues, also of other RQ applications.
local function queue_names()
  local names = {}
  for place, key in ipairs(readable('SMEMBERS', 'rq:queues') or {}) do names[place] = string.sub(key, #queue_key('') + 1) end
  return names
end

-- Return our queues, by priority: the three that always exist, and those with needs, such as high@gpu.
local function our_queues()
  local by_priority = {}
  for place, priority in ipairs(PRIORITIES) do by_priority[place] = { priority } end
  for _, name in ipairs(queue_names()) do
    for place, priority in ipairs(PRIORITIES) do
      if string.sub(name, 1, #priority + 1) == priority .. '@' then table.insert(by_priority[place], name) end
    end
  end
  local queues = {}
  for _, names in ipairs(by_priority) do
    for _, name in ipairs(names) do queues[#queues + 1] = name end
  end
  return queues
end

-- Move a job to another of its owner's indexes, of which there is one for each status. Scores are the time of creation in
-- microseconds. The record of a job that an earlier version stored does not have it.
local function index(job, after)
  local user, before = job.user or '', STATUS[job.status]
  if before == after then return end
  local score = job.score or redis.call('ZSCORE', index_key(user, before), job.id)
  redis.call('ZREM', index_key(user, before), job.id)
  redis.call('ZADD', index_key(user, after), score or whole(SECONDS * 1e6 + MICROS), job.id)
end

-- Return how many of a user's jobs have not ended.
local function active_jobs(user)
  return redis.call('ZCARD', index_key(user, 'pending')) + redis.call('ZCARD', index_key(user, 'running'))
end

-- Wake an idle worker. While all workers are busy, the list only grows, so it is cut now and then.
local function ring(queue)
  local doorbell = doorbell_key(queue)
  if redis.call('LPUSH', doorbell, '1') > 2 * KEEP_RINGS then redis.call('LTRIM', doorbell, 0, KEEP_RINGS - 1) end
end

-- Wake a worker for each of the waiting jobs, if nothing has rung for them.
local function ring_for_all(queue, waiting)
  if readable('LLEN', doorbell_key(queue)) ~= 0 then return end
  local rings = {}
  for place = 1, math.min(waiting, KEEP_RINGS) do rings[place] = '1' end
  redis.call('LPUSH', doorbell_key(queue), unpack(rings))
end

-- Put a job into its queue, and return what changes in its record. Two counters give the upper bound of its position: its
-- own number, and how many jobs were popped.
local function push(id, queue, at_front)
  local key, number, length = queue_key(queue), nil, nil
  if at_front then
    number = redis.call('DECR', 'wh:popped:' .. queue) + 1
    length = redis.call('LPUSH', key, id)
  else
    number = redis.call('INCR', 'wh:pushed:' .. queue)
    length = redis.call('RPUSH', key, id)
  end
  if length == 1 then redis.call('SADD', 'rq:queues', key) end
  ring(queue)
  return { 'status', 'queued', 'number', whole(number), 'enqueued_at', now_iso(), 'ready_at', decimal(NOW), 'reason', 'queued' }
end

-- Let a job wait for a time, and return what changes in its record.
local function schedule(id, queue, due, reason)
  redis.call('SADD', 'rq:queues', queue_key(queue))
  redis.call('ZADD', 'rq:scheduled:' .. queue, decimal(due), id)
  return { 'status', 'scheduled', 'due', decimal(due), 'reason', reason }
end

-- Put a job into its queue, or into the scheduled registry if it is not due yet. Return what changes in its record.
local function make_ready(id, queue, due)
  if due and due > NOW then return schedule(id, queue, due, 'scheduled') end
  return push(id, queue, false)
end
