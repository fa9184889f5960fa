-- What every script shares. It is put before each of them; a script runs alone, so each is one atomic step.
-- All times are the broker's: no worker's clock decides anything.

local TIME = redis.call('TIME')
local SECONDS, MICROS = tonumber(TIME[1]), tonumber(TIME[2])
local NOW = SECONDS + MICROS / 1e6

local KEEP_EVENTS = 200
local KEEP_FEED = 10000
local FEED_SECONDS = 86400
-- Seconds without a sign of life after which RQ's record of a worker goes.
local WORKER_TTL = 80
local KEEP_RINGS = 64

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

-- What /metrics tells is counted where it happens, so that a scrape adds nothing up: `wh:metrics:<name>` counts by label.
-- With seconds it is a histogram: a count for each bound, and their sum.
local BOUNDS = { 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200 }
local function measure(name, label, seconds)
  local key = 'wh:metrics:' .. name
  if not seconds then return redis.call('HINCRBY', key, label, 1) end
  local bound = 'inf'
  for _, each in ipairs(BOUNDS) do
    if seconds <= each then bound = tostring(each) break end
  end
  redis.call('HINCRBY', key, label .. '|' .. bound, 1)
  redis.call('HINCRBYFLOAT', key, label .. '|sum', decimal(math.max(seconds, 0)))
end

-- The reasons of a failure that are our own words; any other is an exception of the function's.
local REASONS = { timeout = 1, stalled = 1, worker_lost = 1, memory_limit = 1, result_too_large = 1, result_invalid = 1 }
local function measure_event(id, kind, entry)
  if kind == 'job_progress' then return end
  local job = redis.call('HMGET', job_key(id), 'type', 'ready_at')
  local name = job[1] or ''
  if kind == 'job_queued' then
    if entry.version == 1 then measure('jobs', name .. '|pending') end
  elseif kind == 'job_retrying' then
    measure('retried', name)
  elseif kind == 'job_resumed' then
    measure('resumed', name .. '|' .. (entry.reason or 'other'))
  else
    measure('jobs', name .. '|' .. entry.status)
    if kind == 'job_started' and job[2] then measure('wait', name, NOW - tonumber(job[2])) end
    if kind == 'job_failed' then measure('failed', name .. '|' .. (REASONS[entry.error_type] and entry.error_type or 'error')) end
  end
end

local STATUS = { created = 'pending', queued = 'pending', deferred = 'pending', scheduled = 'pending',
  started = 'running', finished = 'completed', failed = 'failed', stopped = 'failed', canceled = 'cancelled' }
local REGISTRY = { completed = 'rq:finished:', failed = 'rq:failed:', cancelled = 'rq:canceled:' }

-- The same for its owner, whose log of all their jobs holds a place for each event: '<position> <job> <version>'.
-- Positions are dense. A log that idles away begins anew with the time in microseconds, which is past them all.
local function feed(id, version)
  local user = redis.call('HGET', job_key(id), 'user')
  if not user or user == '' then return end
  local key = 'wh:feed:' .. user
  if redis.call('EXISTS', 'wh:user:' .. user) == 0 then
    redis.call('DEL', key)
    return
  end
  local last = redis.call('LINDEX', key, -1)
  local position = whole(last and tonumber(string.match(last, '^%d+')) + 1 or SECONDS * 1e6 + MICROS)
  local length = redis.call('RPUSH', key, position .. ' ' .. id .. ' ' .. whole(version))
  if length > KEEP_FEED then redis.call('LTRIM', key, -KEEP_FEED, -1) end
  redis.call('EXPIRE', key, FEED_SECONDS)
  redis.call('PUBLISH', key, position)
end

-- Leave word of an event that somebody wants to be told of over HTTP: '<job> <event>'. The scheduler makes jobs of it,
-- and takes it out of here in the step that stores them. Progress is for streams.
local function announce(id, kind, text)
  if kind == 'job_progress' then return end
  local job = redis.call('HMGET', job_key(id), 'user', 'webhook_url')
  local of_job = job[2] and (kind == 'job_completed' or kind == 'job_failed' or kind == 'job_cancelled')
  if of_job or (job[1] and job[1] ~= '' and redis.call('EXISTS', 'wh:webhooks:' .. job[1]) == 1) then
    redis.call('RPUSH', 'wh:outbox', id .. ' ' .. text)
  end
end

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
  feed(id, entry.version)
  announce(id, kind, text)
  measure_event(id, kind, entry)
  return entry.version
end

-- The owner's indexes, one a status, scored by the time of creation in microseconds.
local function index(id, user, before, after)
  if before == after then return end
  local score = redis.call('ZSCORE', index_key(user, before), id)
  redis.call('ZREM', index_key(user, before), id)
  if after then redis.call('ZADD', index_key(user, after), score or whole(SECONDS * 1e6 + MICROS), id) end
end

-- Jobs that have not ended.
local function active_jobs(user)
  return redis.call('ZCARD', index_key(user, 'pending')) + redis.call('ZCARD', index_key(user, 'running'))
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
  redis.call('HSET', job_key(id), 'status', 'queued', 'number', number, 'enqueued_at', NOW_ISO, 'ready_at', decimal(NOW),
    'reason', 'queued')
end

local function schedule(id, queue, due, reason)
  redis.call('SADD', 'rq:queues', queue_key(queue))
  redis.call('ZADD', 'rq:scheduled:' .. queue, decimal(due), id)
  redis.call('HSET', job_key(id), 'status', 'scheduled', 'due', decimal(due), 'reason', reason)
end

-- Limits of running jobs, called user:<id> and type:<name>. Each has a set of the jobs that hold one of its slots, and
-- for each queue those that were at its head and wait for a slot, in the order of that queue. A job holds its slots from
-- its claim to the end of its execution; one that was put back holds them already. What runs is counted by looking at
-- the set, and a job frees what its own record says that it holds: nothing is added up that could drift.
local PRIORITIES = { 'high', 'default', 'low' }
local USER_LIMIT = 'wh:max_running_per_user'
-- Jobs that one script moves from a full limit's waiting list to another's.
local MOST_MOVES = 100
local function slots_key(limit) return 'wh:slots:' .. limit end
local function waiting_key(limit, queue) return 'wh:limited:' .. queue .. ':' .. limit end

-- Take a slot of every limit that the job is under, or none: answers the first limit that is full, if one is.
local function take_slots(id, user, kind, max_running, user_limit)
  local limits = {}
  if user_limit > 0 and user and user ~= '' then limits[1] = { 'user:' .. user, user_limit } end
  if max_running then limits[#limits + 1] = { 'type:' .. kind, tonumber(max_running) } end
  local names = {}
  for _, limit in ipairs(limits) do
    if redis.call('SCARD', slots_key(limit[1])) >= limit[2] then return limit[1] end
    names[#names + 1] = limit[1]
  end
  for _, name in ipairs(names) do redis.call('SADD', slots_key(name), id) end
  if #names > 0 then redis.call('HSET', job_key(id), 'slots', table.concat(names, ' ')) end
end

-- RQ sees it among the deferred: it waits for other jobs, if only for their room.
local function set_aside(id, queue, limit, number)
  redis.call('ZADD', waiting_key(limit, queue), number or 0, id)
  redis.call('SADD', 'wh:limited', limit)
  redis.call('ZADD', 'rq:deferred:' .. queue, whole(NOW), id)
  redis.call('HSET', job_key(id), 'status', 'deferred', 'reason', 'limited', 'limited_by', limit)
end

local function first_waiting(limit)
  for _, queue in ipairs(PRIORITIES) do
    local first = redis.call('ZRANGE', waiting_key(limit, queue), 0, 0, 'WITHSCORES')
    if first[1] then return first[1], queue, first[2] end
  end
end

-- Put those that wait for this limit back at the head of their queues, in order, as far as there is room.
-- One whose other limit is full waits for that one from now on.
local function put_back(limit)
  local user_limit = tonumber(redis.call('GET', USER_LIMIT) or '0')
  local back = {}
  for _ = 1, MOST_MOVES do
    local id, queue, number = first_waiting(limit)
    if not id then
      redis.call('SREM', 'wh:limited', limit)
      break
    end
    local job = redis.call('HMGET', job_key(id), 'limited_by', 'user', 'type', 'max_running')
    local full = job[1] == limit and take_slots(id, job[2], job[3], job[4], user_limit)
    if full == limit then break end
    redis.call('ZREM', waiting_key(limit, queue), id)
    if full then
      set_aside(id, queue, full, number)
    elseif job[1] == limit then
      back[#back + 1] = { id, queue }
    end
  end
  for position = #back, 1, -1 do
    local id, queue = back[position][1], back[position][2]
    redis.call('ZREM', 'rq:deferred:' .. queue, id)
    redis.call('HDEL', job_key(id), 'limited_by')
    push(id, queue, true)
    emit(id, 'job_queued', { status = 'pending', reason = 'queued' })
  end
end

local function free_slots(id, slots)
  if not slots then return end
  redis.call('HDEL', job_key(id), 'slots')
  for limit in string.gmatch(slots, '[^ ]+') do redis.call('SREM', slots_key(limit), id) end
  for limit in string.gmatch(slots, '[^ ]+') do put_back(limit) end
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

-- Jobs that were submitted together: a record, and how each of them ended, which outlives the jobs' own records.
local function group_key(group) return 'wh:group:' .. group end
local function ended_key(group) return 'wh:group:' .. group .. ':ended' end

-- A group expires with the last of its jobs to end. This is the one place that knows that a group has ended.
local function end_in_group(group, id, status, ttl)
  redis.call('HSET', ended_key(group), id, status)
  local total = tonumber(redis.call('HGET', group_key(group), 'total') or '0')
  if redis.call('HLEN', ended_key(group)) >= total then
    redis.call('EXPIRE', group_key(group), ttl)
    redis.call('EXPIRE', ended_key(group), ttl)
    if redis.call('HEXISTS', group_key(group), 'webhook_url') == 1 then
      redis.call('RPUSH', 'wh:outbox', 'group:' .. group .. ' ' .. cjson.encode({ at = NOW_ISO }))
    end
  end
end

local function begin_in_group(group, id)
  redis.call('HDEL', ended_key(group), id)
  redis.call('PERSIST', ended_key(group))
  redis.call('PERSIST', group_key(group))
end

local end_job

-- What waited for this job goes on, or ends with it.
local function release_dependents(id)
  for _, child in ipairs(redis.call('SMEMBERS', dependents_key(id))) do
    local fields = redis.call('HMGET', job_key(child), 'status', 'origin', 'dependency_ids', 'due', 'user', 'allow_dependency_failures', 'version', 'reason')
    if fields[1] == 'deferred' and fields[3] and fields[8] ~= 'limited' then
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
  local ttls = redis.call('HMGET', key, 'result_ttl', 'failure_ttl', 'status', 'version', 'slots', 'limited_by', 'group')
  local ttl = tonumber((status == 'completed' and ttls[1] or ttls[2]) or '') or 604800
  local rq_status = status == 'completed' and 'finished' or status == 'failed' and 'failed' or 'canceled'
  redis.call('HSET', key, 'status', rq_status, 'ended_at', NOW_ISO, 'expires', decimal(NOW + ttl))
  redis.call('HDEL', key, 'reason', 'due', 'resuming', 'deaths', 'limited_by')
  if ttls[6] then redis.call('ZREM', waiting_key(ttls[6], queue), id) end
  if outcome.error then redis.call('HSET', key, 'error', outcome.error, 'error_type', outcome.error_type) end
  redis.call('ZADD', REGISTRY[status] .. queue, whole(NOW + ttl), id)
  index(id, user, STATUS[ttls[3]], status)
  if ttls[4] then
    emit(id, 'job_' .. status, { status = status, error = outcome.error, error_type = outcome.error_type, attempt = outcome.attempt })
  end
  if status == 'completed' then redis.call('DEL', checkpoint_key(id)) end
  expire(id, user, status, ttl)
  if ttls[7] then end_in_group(ttls[7], id, status, ttl) end
  free_slots(id, ttls[5])
  release_dependents(id)
end

-- A running job is marked, and its worker stops it; a waiting one ends at once.
-- Its entry stays in the queue's list, where the claim drops it: taking it out of the middle costs more the longer the queue.
local function cancel_job(id)
  local job = redis.call('HMGET', job_key(id), 'status', 'origin', 'user', 'version')
  if not job[1] then return 'missing' end
  local status = STATUS[job[1]]
  if status == 'running' then
    redis.call('HSET', job_key(id), 'cancel', 1)
    return 'stopping'
  end
  if status ~= 'pending' then return 'ended' end
  redis.call('ZREM', 'rq:scheduled:' .. job[2], id)
  redis.call('ZREM', 'rq:deferred:' .. job[2], id)
  end_job(id, job[2], job[3] or '', 'cancelled', {})
  return 'cancelled'
end
