-- Examine one job, and mend it if asked. ARGV: job, '1' to mend, '1' if its queue is known to hold it once, seconds of a lease,
-- the score for its owner's index. Answers what is wrong: kind, detail, kind, detail, …
local id, mend, listed = ARGV[1], ARGV[2] == '1', ARGV[3] == '1'
local key = job_key(id)
local job = redis.call('HMGET', key, 'status', 'origin', 'user', 'version', 'execution', 'worker_name', 'due',
  'dependency_ids', 'expires', 'reason', 'limited_by')
local status, queue, user, execution = job[1], job[2], job[3] or '', job[5]
if not status or not queue then return {} end
local state = STATUS[status]
local found = {}
local function find(kind, detail)
  found[#found + 1] = kind
  found[#found + 1] = detail
end

local function times_in(list) return #redis.call('LPOS', list, id, 'COUNT', 0) end

-- Of a job of plain RQ only this is ours to judge: that it can be found by a worker.
if not job[4] then
  if status == 'queued' and not listed and times_in(queue_key(queue)) + times_in(queue_key(queue) .. ':intermediate') == 0 then
    find('in_no_list', 'it is queued, and in no list')
    if mend then
      redis.call('SADD', 'rq:queues', queue_key(queue))
      redis.call('RPUSH', queue_key(queue), id)
    end
  end
  return found
end

-- A cancelled job's entry stays in its queue by design, and may still be there when the job is run again.
local function was_cancelled()
  for _, event in ipairs(redis.call('LRANGE', events_key(id), 0, -1)) do
    if string.find(event, '"job_cancelled"', 1, true) then return true end
  end
  return false
end

local function check_queued()
  if listed then return end
  local times = times_in(queue_key(queue))
  if times == 0 then
    find('in_no_list', 'it is queued, and not in queue ' .. queue)
    if mend then push(id, queue, true) end
  elseif times > 1 and not was_cancelled() then
    find('in_two_lists', 'it is ' .. times .. ' times in queue ' .. queue)
    if mend then redis.call('LREM', queue_key(queue), 1 - times, id) end
  end
end

local function check_scheduled()
  if redis.call('ZSCORE', 'rq:scheduled:' .. queue, id) then return end
  find('in_no_list', 'it is scheduled, and not in the registry of queue ' .. queue)
  if mend then schedule(id, queue, tonumber(job[7] or '') or NOW, job[10] or 'scheduled') end
end

local function check_limited()
  local limit = redis.call('HGET', key, 'limited_by')
  if limit and redis.call('ZSCORE', waiting_key(limit, queue), id) then return end
  find('in_no_list', 'it waits for room, and in no list')
  if mend then
    redis.call('ZREM', 'rq:deferred:' .. queue, id)
    redis.call('HDEL', key, 'limited_by')
    push(id, queue, true)
  end
end

-- Set aside for a limit of running jobs. The claim judges anew whether there is room.
local function check_limited()
  local aside = job[11] and redis.call('ZSCORE', waiting_key(job[11], queue), id)
  if aside and redis.call('ZSCORE', 'rq:deferred:' .. queue, id) then return end
  find('in_no_list', 'it waits for room under ' .. (job[11] or 'no limit') .. ', and is not among those that do')
  if mend then
    if aside then redis.call('ZREM', waiting_key(job[11], queue), id) end
    redis.call('ZREM', 'rq:deferred:' .. queue, id)
    redis.call('HDEL', key, 'limited_by')
    push(id, queue, true)
    emit(id, 'job_queued', { status = 'pending' })
  end
end

local function check_deferred()
  if job[10] == 'limited' then return check_limited() end
  local waits_for = cjson.decode(job[8] or '[]')
  local stands, culprit, how = dependencies(waits_for)
  if stands == 'met' then
    find('deferred_for_nothing', 'all that it waits for has ended')
    if mend then
      redis.call('ZREM', 'rq:deferred:' .. queue, id)
      make_ready(id, queue, tonumber(job[7] or ''))
      emit(id, 'job_queued', { status = 'pending' })
    end
  elseif stands == 'doomed' then
    find('deferred_for_nothing', 'job ' .. culprit .. ', which it waits for, has ' .. how)
    if mend then
      redis.call('ZREM', 'rq:deferred:' .. queue, id)
      end_job(id, queue, user, 'cancelled', { error_type = 'dependency_failed',
        error = 'Job ' .. culprit .. ', which this job waited for, ' .. (how == 'failed' and 'failed.' or 'was cancelled.') })
    end
  else
    if not redis.call('ZSCORE', 'rq:deferred:' .. queue, id) then
      find('in_no_list', 'it is deferred, and not in the registry of queue ' .. queue)
      if mend then redis.call('ZADD', 'rq:deferred:' .. queue, whole(NOW), id) end
    end
    for _, dependency in ipairs(waits_for) do
      local stand = STATUS[redis.call('HGET', job_key(dependency), 'status') or 'finished']
      if (stand == 'pending' or stand == 'running') and redis.call('SISMEMBER', dependents_key(dependency), id) == 0 then
        find('deferred_for_nothing', 'job ' .. dependency .. ' does not know that it waits')
        if mend then redis.call('SADD', dependents_key(dependency), id) end
      end
    end
  end
end

local function check_started()
  if not execution then
    find('held_by_nobody', 'it is started, and has no execution')
    if mend then
      redis.call('HINCRBY', key, 'resumed', 1)
      redis.call('HSET', key, 'resuming', 1)
      index(id, user, 'running', 'pending')
      push(id, queue, true)
      emit(id, 'job_resumed', { status = 'pending', reason = 'worker_lost' })
    end
    return
  end
  local member = id .. ':' .. execution
  local missing = {}
  if not redis.call('ZSCORE', 'wh:leases', member) then missing[#missing + 1] = 'lease' end
  if not redis.call('ZSCORE', 'rq:wip:' .. queue, member) then missing[#missing + 1] = 'wip entry' end
  if redis.call('EXISTS', 'rq:execution:' .. member) == 0 then missing[#missing + 1] = 'execution record' end
  if not redis.call('ZSCORE', 'rq:executions:' .. id, execution) then missing[#missing + 1] = 'execution entry' end
  if #missing == 0 then return end
  find('held_by_nobody', 'it is started, without ' .. table.concat(missing, ', '))
  if not mend then return end
  -- A fresh lease: a live worker prolongs it, and that of a dead one runs out as any other.
  if missing[1] == 'lease' then redis.call('ZADD', 'wh:leases', decimal(NOW + tonumber(ARGV[4])), member) end
  redis.call('ZADD', 'rq:wip:' .. queue, '+inf', member)
  redis.call('ZADD', 'rq:executions:' .. id, '+inf', execution)
  redis.call('HSETNX', 'rq:execution:' .. member, 'created_at', decimal(NOW))
  redis.call('HSETNX', 'rq:execution:' .. member, 'last_heartbeat', decimal(NOW))
  redis.call('HSET', 'rq:execution:' .. member, 'id', execution, 'worker_name', job[6] or '')
end

local OWNED = { key, events_key(id), logs_key(id), checkpoint_key(id), results_key(id), dependents_key(id) }

local function check_live()
  if redis.call('TTL', key) >= 0 then
    find('expires_alive', 'it has not ended, and expires')
    if mend then
      for _, ended in ipairs({ 'completed', 'failed', 'cancelled' }) do keep(id, user, ended) end
    end
  end
end

local function check_ended()
  if execution then
    find('held_after_its_end', 'execution ' .. execution .. ' still holds it')
    if mend then let_go(id, queue, job[6], execution) end
  end
  local immortal = {}
  for _, owned in ipairs(OWNED) do
    if redis.call('TTL', owned) == -1 then immortal[#immortal + 1] = owned end
  end
  if not redis.call('ZSCORE', 'wh:expiry', id .. '|' .. user .. '|' .. state) then immortal[#immortal + 1] = 'its index entry' end
  if #immortal > 0 then
    find('never_expires', table.concat(immortal, ', '))
    if mend then expire(id, user, state, math.max(1, math.ceil((tonumber(job[9] or '') or NOW + 86400) - NOW))) end
  end
end

if not redis.call('ZSCORE', index_key(user, state), id) then
  find('not_indexed', "its owner's index " .. index_key(user, state) .. ' lacks it')
  if mend then redis.call('ZADD', index_key(user, state), ARGV[5], id) end
end
if state == 'pending' or state == 'running' then check_live() else check_ended() end
if status == 'queued' or status == 'created' then check_queued()
elseif status == 'scheduled' then check_scheduled()
elseif status == 'deferred' and job[10] == 'limited' then check_limited()
elseif status == 'deferred' then check_deferred()
elseif status == 'started' then check_started()
end
return found
