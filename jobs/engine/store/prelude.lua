-- What every script shares. It is put before each of them; a script runs alone, so each is one atomic step.
-- All times are the broker's: no worker's clock decides anything.

local TIME = redis.call('TIME')
local SECONDS, MICROS = tonumber(TIME[1]), tonumber(TIME[2])
local NOW = SECONDS + MICROS / 1e6

local KEEP_EVENTS = 200
-- Seconds without a sign of life after which RQ's record of a worker goes.
local WORKER_TTL = 80
local KEEP_RINGS = 64
local DEATHS_ALLOWED = 3

local function job_key(id) return 'rq:job:' .. id end
local function events_key(id) return 'wh:events:' .. id end
local function logs_key(id) return 'wh:logs:' .. id end
local function checkpoint_key(id) return 'wh:checkpoint:' .. id end
local function results_key(id) return 'rq:results:' .. id end
local function dependents_key(id) return 'rq:job:' .. id .. ':dependents' end
local function queue_key(queue) return 'rq:queue:' .. queue end
local function index_key(user, status) return 'wh:jobs:' .. user .. ':' .. status end

-- %.14g, Lua's own way to print a number, loses microseconds.
local function decimal(number) return string.format('%.6f', number) end
local function whole(number) return string.format('%.0f', number) end

-- Seconds since 1970 as RQ writes a time (rq/utils.py, _TIMESTAMP_FORMAT). Days to a date after the civil calendar.
local function iso(seconds)
  local day = math.floor(seconds / 86400)
  local rest = seconds - day * 86400
  local z = day + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local clock = math.floor(rest)
  local micros = math.floor((rest - clock) * 1e6 + 0.5)
  if micros > 999999 then micros = 999999 end
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(clock / 3600), math.floor(clock / 60) % 60, clock % 60, micros)
end

local NOW_ISO = iso(NOW)

local STATUS = { created = 'pending', queued = 'pending', deferred = 'pending', scheduled = 'pending',
  started = 'running', finished = 'completed', failed = 'failed', stopped = 'failed', canceled = 'cancelled' }
local REGISTRY = { completed = 'rq:finished:', failed = 'rq:failed:', cancelled = 'rq:canceled:' }

-- One entry of a job's history. Progress takes the place of the progress before it.
local function emit(id, kind, entry)
  entry.version = redis.call('HINCRBY', job_key(id), 'version', 1)
  entry.type = kind
  entry.at = NOW_ISO
  local text = cjson.encode(entry)
  local log = events_key(id)
  local last = kind == 'job_progress' and redis.call('LINDEX', log, -1)
  if last and string.find(last, '"type":"job_progress"', 1, true) then
    redis.call('LSET', log, -1, text)
  else
    redis.call('RPUSH', log, text)
    redis.call('LTRIM', log, -KEEP_EVENTS, -1)
  end
  redis.call('PUBLISH', 'wh:job:' .. id, entry.version .. ' ' .. kind)
  return entry.version
end

-- The owner's indexes, one a status, scored by the time of creation in microseconds.
local function index(id, user, before, after)
  if before == after then return end
  local score = redis.call('ZSCORE', index_key(user, before), id)
  redis.call('ZREM', index_key(user, before), id)
  if after then redis.call('ZADD', index_key(user, after), score or whole(SECONDS * 1e6 + MICROS), id) end
end

-- Two counters bound a job's place in its queue: its own number at the push, and how many have been popped.
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
  redis.call('HSET', job_key(id), 'status', 'queued', 'number', number, 'enqueued_at', NOW_ISO, 'reason', 'queued')
end

local function schedule(id, queue, due, reason)
  redis.call('SADD', 'rq:queues', queue_key(queue))
  redis.call('ZADD', 'rq:scheduled:' .. queue, decimal(due), id)
  redis.call('HSET', job_key(id), 'status', 'scheduled', 'due', decimal(due), 'reason', reason)
end

-- Into its queue, or into the scheduled registry if its time has not come.
local function make_ready(id, queue, due)
  if due and due > NOW then
    schedule(id, queue, due, 'scheduled')
    return 'scheduled'
  end
  push(id, queue, false)
  return 'queued'
end

-- An execution's record, as rq/executions.py (2.12.0) keeps it. The wip entry never expires by itself:
-- a stock reader's clean-up (rq/registry.py, StartedJobRegistry.cleanup) would fail a job that our lease still protects.
local function hold(id, queue, worker, execution, lease)
  local member = id .. ':' .. execution
  redis.call('ZADD', 'rq:wip:' .. queue, '+inf', member)
  redis.call('ZADD', 'wh:leases', decimal(NOW + lease), member)
  redis.call('HSET', 'rq:execution:' .. member, 'id', execution, 'created_at', decimal(NOW), 'last_heartbeat',
    decimal(NOW), 'worker_name', worker)
  redis.call('ZADD', 'rq:executions:' .. id, '+inf', execution)
  redis.call('HSET', 'rq:worker:' .. worker, 'state', 'busy', 'current_job', id, 'execution', execution)
  redis.call('EXPIRE', 'rq:worker:' .. worker, WORKER_TTL)
end

local function let_go(id, queue, worker, execution)
  local member = id .. ':' .. execution
  redis.call('ZREM', 'rq:wip:' .. queue, member)
  redis.call('ZREM', 'wh:leases', member)
  redis.call('HDEL', 'wh:suspects', member)
  redis.call('DEL', 'rq:execution:' .. member)
  redis.call('ZREM', 'rq:executions:' .. id, execution)
  redis.call('HDEL', job_key(id), 'execution', 'cancel')
  if worker and redis.call('HGET', 'rq:worker:' .. worker, 'execution') == execution then
    redis.call('HDEL', 'rq:worker:' .. worker, 'current_job', 'execution')
    redis.call('HSET', 'rq:worker:' .. worker, 'state', 'idle')
  end
end

-- Everything a job owns goes together, its results' time after its end.
local function expire(id, user, status, ttl)
  for _, key in ipairs({ job_key(id), events_key(id), logs_key(id), checkpoint_key(id), results_key(id), dependents_key(id) }) do
    redis.call('EXPIRE', key, ttl)
  end
  redis.call('ZADD', 'wh:expiry', decimal(NOW + ttl), id .. '|' .. user .. '|' .. status)
end

local function keep(id, user, status)
  for _, key in ipairs({ job_key(id), events_key(id), logs_key(id), checkpoint_key(id), results_key(id), dependents_key(id) }) do
    redis.call('PERSIST', key)
  end
  redis.call('ZREM', 'wh:expiry', id .. '|' .. user .. '|' .. status)
end

-- How far a job's dependencies are: 'met', 'waiting', or 'doomed' with the job that failed.
-- One that is gone has expired, so it had completed: a failure would have ended those that waited for it.
local function dependencies(ids)
  local state = 'met'
  for _, id in ipairs(ids) do
    local status = STATUS[redis.call('HGET', job_key(id), 'status') or 'finished']
    if status == 'failed' or status == 'cancelled' then return 'doomed', id, status end
    if status ~= 'completed' then state = 'waiting' end
  end
  return state
end

-- Wait for those that have not ended; to be released by the script that ends the last of them.
local function await(id, queue, ids)
  for _, dependency in ipairs(ids) do
    local status = STATUS[redis.call('HGET', job_key(dependency), 'status') or 'finished']
    if status == 'pending' or status == 'running' then redis.call('SADD', dependents_key(dependency), id) end
  end
  redis.call('ZADD', 'rq:deferred:' .. queue, whole(NOW), id)
  redis.call('HSET', job_key(id), 'status', 'deferred', 'reason', 'waiting')
end

local end_job

-- What waited for this job goes on, or ends with it.
local function release_dependents(id)
  for _, child in ipairs(redis.call('SMEMBERS', dependents_key(id))) do
    local fields = redis.call('HMGET', job_key(child), 'status', 'origin', 'dependency_ids', 'due', 'user', 'allow_dependency_failures', 'version')
    if fields[1] == 'deferred' and fields[3] then
      local state, culprit, how = dependencies(cjson.decode(fields[3]))
      if state == 'doomed' and fields[6] == '1' then state = 'met' end
      if state == 'met' then
        redis.call('ZREM', 'rq:deferred:' .. fields[2], child)
        make_ready(child, fields[2], tonumber(fields[4] or ''))
        if fields[7] then emit(child, 'job_queued', { status = 'pending' }) end
      elseif state == 'doomed' then
        redis.call('ZREM', 'rq:deferred:' .. fields[2], child)
        end_job(child, fields[2], fields[5] or '', 'cancelled', { error_type = 'dependency_failed',
          error = 'Job ' .. culprit .. ', which this job waited for, ' .. (how == 'failed' and 'failed.' or 'was cancelled.') })
      end
    end
  end
end

-- The end of a job: status, registry, index, expiry, last event, and those that waited for it.
end_job = function(id, queue, user, status, outcome)
  local key = job_key(id)
  local ttls = redis.call('HMGET', key, 'result_ttl', 'failure_ttl', 'status', 'version')
  local ttl = tonumber((status == 'completed' and ttls[1] or ttls[2]) or '') or 604800
  local rq_status = status == 'completed' and 'finished' or status == 'failed' and 'failed' or 'canceled'
  redis.call('HSET', key, 'status', rq_status, 'ended_at', NOW_ISO, 'expires', decimal(NOW + ttl))
  redis.call('HDEL', key, 'reason', 'due', 'resuming', 'deaths')
  if outcome.error then redis.call('HSET', key, 'error', outcome.error, 'error_type', outcome.error_type) end
  redis.call('ZADD', REGISTRY[status] .. queue, whole(NOW + ttl), id)
  index(id, user, STATUS[ttls[3]], status)
  if ttls[4] then
    emit(id, 'job_' .. status, { status = status, error = outcome.error, error_type = outcome.error_type, attempt = outcome.attempt })
  end
  if status == 'completed' then redis.call('DEL', checkpoint_key(id)) end
  expire(id, user, status, ttl)
  release_dependents(id)
end
