-- Read all figures of /metrics. ARGV: our queues. The cost does not grow with the backlog. A record that neither we nor RQ
-- have written is skipped, so that it can't silence an alert.
-- Requires: control, counts.

-- The jobs at the head of a queue among which the oldest wait is searched: some may be cancelled or just put back.
local HEADS = 20

local function oldest_wait(queue)
  local oldest = 0
  for _, id in ipairs(readable('LRANGE', queue_key(queue), 0, HEADS - 1) or {}) do
    local job = readable('HMGET', job_key(id), 'status', 'ready_at') or {}
    local ready_at = job[1] == 'queued' and tonumber(job[2] or '')
    if ready_at then oldest = math.max(oldest, NOW - ready_at) end
  end
  return oldest
end

local function overdue(queue)
  local head = readable('ZRANGE', 'rq:scheduled:' .. queue, 0, 0, 'WITHSCORES') or {}
  return head[2] and math.max(0, NOW - tonumber(head[2])) or 0
end

-- The lock of RQ's own scheduler has a name like a registry's, but is not a sorted set.
local function members(key)
  return readable('ZCARD', key) or 0
end

local names = {}
for _, queue in ipairs(ARGV) do names[queue] = true end
for _, queue in ipairs(queue_names()) do names[queue] = true end
local queues = {}
for queue in pairs(names) do
  queues[#queues + 1] = { queue, readable('LLEN', queue_key(queue)) or 0, decimal(oldest_wait(queue)),
    members('rq:scheduled:' .. queue), decimal(overdue(queue)), members('rq:deferred:' .. queue), members('rq:wip:' .. queue),
    redis.call('EXISTS', served_key(queue)), queue_is_paused(queue) and 1 or 0 }
end

local states, workers = {}, {}
for _, key in ipairs(readable('SMEMBERS', 'rq:workers') or {}) do
  local state = readable('HGET', key, 'state')
  if state then states[state] = (states[state] or 0) + 1 end
end
for state, count in pairs(states) do workers[#workers + 1] = { state, count } end

local counts = {}
for _, name in ipairs({ 'jobs', 'retried', 'resumed', 'failed', 'lost', 'run', 'wait', 'http', 'http_seconds' }) do
  counts[#counts + 1] = { name, readable('HGETALL', 'wh:metrics:' .. name) or {} }
end

local bounds = {}
for place, bound in ipairs(BOUNDS) do bounds[place] = tostring(bound) end
return { queues, workers, counts, bounds, readable('ZCOUNT', 'wh:leases', '-inf', decimal(NOW)) or 0, readable('LLEN', 'wh:outbox') or 0 }
