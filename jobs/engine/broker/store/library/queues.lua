-- Queues and indexes: where a job is found by workers and by its owner.

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
-- microseconds.
local function index(id, user, before, after)
  if before == after then return end
  local score = redis.call('ZSCORE', index_key(user, before), id)
  redis.call('ZREM', index_key(user, before), id)
  if after then redis.call('ZADD', index_key(user, after), score or whole(SECONDS * 1e6 + MICROS), id) end
end

-- Return how many of a user's jobs have not ended.
local function active_jobs(user)
  return redis.call('ZCARD', index_key(user, 'pending')) + redis.call('ZCARD', index_key(user, 'running'))
end

-- Put a job into its queue. Two counters give the upper bound of its position: its own number, and how many jobs were popped.
local function push(id, queue, at_front)
  redis.call('SADD', 'rq:queues', queue_key(queue))
  local number
  if at_front then
    number = redis.call('DECR', 'wh:popped:' .. queue) + 1
    redis.call('LPUSH', queue_key(queue), id)
  else
    number = redis.call('INCR', 'wh:pushed:' .. queue)
    redis.call('RPUSH', queue_key(queue), id)
  end
  redis.call('LPUSH', 'wh:doorbell:' .. queue, '1')
  redis.call('LTRIM', 'wh:doorbell:' .. queue, 0, KEEP_RINGS - 1)
  redis.call('HSET', job_key(id), 'status', 'queued', 'number', number, 'enqueued_at', NOW_ISO, 'ready_at', decimal(NOW),
    'reason', 'queued')
end

local function schedule(id, queue, due, reason)
  redis.call('SADD', 'rq:queues', queue_key(queue))
  redis.call('ZADD', 'rq:scheduled:' .. queue, decimal(due), id)
  redis.call('HSET', job_key(id), 'status', 'scheduled', 'due', decimal(due), 'reason', reason)
end

-- Put a job into its queue, or into the scheduled registry if it is not due yet.
local function make_ready(id, queue, due)
  if due and due > NOW then
    schedule(id, queue, due, 'scheduled')
    return 'scheduled'
  end
  push(id, queue, false)
  return 'queued'
end
