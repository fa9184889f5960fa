-- The end of a job, and of the jobs that depend on it.

-- Let everything that a job owns expire together.
local function expire(id, user, status, ttl)
  for _, key in ipairs({ job_key(id), events_key(id), logs_key(id), checkpoint_key(id), results_key(id), dependents_key(id) }) do
    redis.call('EXPIRE', key, ttl)
  end
  redis.call('ZADD', 'wh:expiry', decimal(NOW + ttl), id .. '|' .. user .. '|' .. status)
end

-- Undo `expire`.
local function keep(id, user, status)
  for _, key in ipairs({ job_key(id), events_key(id), logs_key(id), checkpoint_key(id), results_key(id), dependents_key(id) }) do
    redis.call('PERSIST', key)
  end
  redis.call('ZREM', 'wh:expiry', id .. '|' .. user .. '|' .. status)
end

local end_job

-- Cancel a job whose dependency has failed or was cancelled.
local function cancel_dependent(id, queue, user, dependency, dependency_status)
  redis.call('ZREM', 'rq:deferred:' .. queue, id)
  local error = 'This job depends on job ' .. dependency .. ', which ' ..
    (dependency_status == 'failed' and 'failed.' or 'was cancelled.')
  end_job(id, queue, user, 'cancelled', { error_type = 'dependency_failed', error = error })
end

-- Make the jobs that waited for this one ready, or end them with it.
local function release_dependents(id)
  for _, child in ipairs(redis.call('SMEMBERS', dependents_key(id))) do
    local fields = redis.call('HMGET', job_key(child), 'status', 'origin', 'dependency_ids', 'due', 'user', 'allow_dependency_failures', 'version', 'reason')
    if fields[1] == 'deferred' and fields[3] and fields[8] ~= 'limited' then
      local state, dependency, dependency_status = dependencies(cjson.decode(fields[3]))
      if state == 'failed' and fields[6] == '1' then state = 'met' end
      if state == 'met' then
        redis.call('ZREM', 'rq:deferred:' .. fields[2], child)
        make_ready(child, fields[2], tonumber(fields[4] or ''))
        if fields[7] then emit(child, 'job_queued', { status = 'pending' }) end
      elseif state == 'failed' then
        cancel_dependent(child, fields[2], fields[5] or '', dependency, dependency_status)
      end
    end
  end
end

-- End a job: status, registry, index, expiry and last event; then release the jobs that wait for it or for its slots.
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

-- Cancel a job. A waiting job ends at once; a running one is marked, and its worker stops it.
-- A waiting job's entry stays in its queue until a claim drops it: removing it would cost more, the longer the queue is.
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
