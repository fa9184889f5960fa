-- The end of a job, and of the jobs that depend on it.
-- Requires: dependencies, groups, waiting, unique.

-- Return the keys that belong to a job alone.
local function owned_keys(id)
  return { job_key(id), events_key(id), results_key(id), logs_key(id), checkpoint_key(id), dependents_key(id) }
end

-- Let a job's keys expire together, and its index entry with them.
local function expire(keys, id, user, status, ttl)
  for _, key in ipairs(keys) do redis.call('EXPIRE', key, ttl) end
  redis.call('ZADD', 'wh:expiry', decimal(NOW + ttl), id .. '|' .. user .. '|' .. status)
end

-- Undo `expire`.
local function keep(id, user, status)
  for _, key in ipairs(owned_keys(id)) do redis.call('PERSIST', key) end
  redis.call('ZREM', 'wh:expiry', id .. '|' .. user .. '|' .. status)
end

-- Delete an ended job: all its keys, and its entries in the indexes.
local function erase(job, status)
  local user = job.user or ''
  redis.call('ZREM', REGISTRY[status] .. job.origin, job.id)
  redis.call('ZREM', index_key(user, status), job.id)
  redis.call('ZREM', 'wh:expiry', job.id .. '|' .. user .. '|' .. status)
  redis.call('DEL', unpack(owned_keys(job.id)))
end

-- Return those of a job's keys that exist when it ends, as its record tells.
local function keys_at_end(job, status, children)
  local id = job.id
  local keys = { job.key, events_key(id), results_key(id) }
  if job.logged then keys[#keys + 1] = logs_key(id) end
  if status ~= 'completed' then keys[#keys + 1] = checkpoint_key(id) end
  if #children > 0 then keys[#keys + 1] = dependents_key(id) end
  return keys
end

local end_job

-- Cancel a job whose dependency has failed or was cancelled.
local function cancel_dependent(job, dependency, dependency_status)
  redis.call('ZREM', 'rq:deferred:' .. job.origin, job.id)
  local error = 'This job depends on job ' .. dependency .. ', which ' ..
    (dependency_status == 'failed' and 'failed.' or 'was cancelled.')
  end_job(job, 'cancelled', { error_type = 'dependency_failed', error = error })
end

-- Make the jobs that waited for this one ready, or end them with it.
local function release_dependents(children)
  for _, id in ipairs(children) do
    local job = load_job(id)
    local wait = redis.call('HMGET', job.key, 'dependency_ids', 'due', 'allow_dependency_failures', 'reason')
    if job.status == 'deferred' and wait[1] and wait[4] ~= 'limited' then
      local state, dependency, dependency_status = dependencies(cjson.decode(wait[1]))
      if state == 'failed' and wait[3] == '1' then state = 'met' end
      if state == 'met' then
        redis.call('ZREM', 'rq:deferred:' .. job.origin, id)
        local changes = make_ready(id, job.origin, tonumber(wait[2] or ''))
        if job.version then
          emit(job, 'job_queued', { status = 'pending' }, changes)
        else
          redis.call('HSET', job.key, unpack(changes))
        end
      elseif state == 'failed' then
        cancel_dependent(job, dependency, dependency_status)
      end
    end
  end
end

-- End a job: status, registry, index, expiry and last event; then release the jobs that wait for it or for its slots.
-- A job whose user has been removed is deleted, but only then: the jobs that wait for it look at how it ended.
end_job = function(job, status, outcome)
  local id, key, queue, user = job.id, job.key, job.origin, job.user or ''
  local ttl = tonumber((status == 'completed' and job.result_ttl or job.failure_ttl) or '') or 604800
  local rq_status = status == 'completed' and 'finished' or status == 'failed' and 'failed' or 'canceled'
  local changes = { 'status', rq_status, 'ended_at', now_iso(), 'expires', decimal(NOW + ttl) }
  local gone = { 'execution', 'cancel', 'slots', 'reason', 'due', 'resuming', 'deaths', 'limited_by' }
  no_longer_waits(job)
  call_off(job)
  if outcome.error then
    append(changes, 'error', outcome.error, 'error_type', outcome.error_type or '')
  elseif status == 'completed' then
    append(changes, 'meta', outcome.meta or '{}')
    append(gone, 'error', 'error_type')
  end
  if job.unique then free_unique(id, job.unique) end
  if job.start_by then redis.call('ZREM', 'wh:start_by', id) end
  redis.call('HDEL', key, unpack(gone))
  redis.call('ZADD', REGISTRY[status] .. queue, whole(NOW + ttl), id)
  index(job, status)
  if job.version then
    emit(job, 'job_' .. status, { status = status, error = outcome.error, error_type = outcome.error_type,
      attempt = outcome.attempt }, changes)
  else
    redis.call('HSET', key, unpack(changes))
  end
  local children = redis.call('SMEMBERS', dependents_key(id))
  expire(keys_at_end(job, status, children), id, user, status, ttl)
  if job.group then end_in_group(job.group, id, status, ttl) end
  free_slots(job)
  release_dependents(children)
  if job.removed then erase(job, status) end
end

-- Cancel a job. A waiting job ends at once; one that a worker holds is marked, and its worker stops it.
-- A waiting job's entry stays in its queue until a claim drops it: removing it would cost more, the longer the queue is.
-- Of a job of plain RQ it is removed, as RQ does: rq's path runs whatever is in a queue.
local function cancel_job(id)
  local job = load_job(id)
  if not job.status then return 'missing' end
  local status = STATUS[job.status]
  -- A worker claims a job of plain RQ a moment before it starts it.
  if status == 'running' or (status == 'pending' and job.execution) then
    redis.call('HSET', job.key, 'cancel', 1)
    return 'stopping'
  end
  if status ~= 'pending' then return 'ended' end
  if not job.version and redis.call('LREM', queue_key(job.origin), 0, id) > 0 and job.number then
    redis.call('INCR', 'wh:popped:' .. job.origin)
  end
  redis.call('ZREM', 'rq:scheduled:' .. job.origin, id)
  redis.call('ZREM', 'rq:deferred:' .. job.origin, id)
  end_job(job, 'cancelled', {})
  return 'cancelled'
end
