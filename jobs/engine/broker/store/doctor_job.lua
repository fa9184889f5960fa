-- Examine one job, and repair it on request. ARGV: job, '1' to repair, '1' if its queue is known to hold it once, seconds of
-- a lease, the score for its owner's index. Returns what is wrong: kind, detail, kind, detail, …
-- Requires: holding, endings.
local id, repair, listed = ARGV[1], ARGV[2] == '1', ARGV[3] == '1'
local key = job_key(id)
local job = redis.call('HMGET', key, 'status', 'origin', 'user', 'version', 'execution', 'worker_name', 'due',
  'dependency_ids', 'expires', 'reason', 'limited_by')
local status, queue, user, execution = job[1], job[2], job[3] or '', job[5]
local record = load_job(id)
if not status or not queue then return {} end
local state = STATUS[status]
local found = {}
local function find(kind, detail)
  found[#found + 1] = kind
  found[#found + 1] = detail
end

local function times_in(list) return #redis.call('LPOS', list, id, 'COUNT', 0) end

-- A job of plain RQ is only checked for this: a worker can find it. The rest is RQ's.
if not job[4] then
  if status == 'queued' and not listed and times_in(queue_key(queue)) + times_in(queue_key(queue) .. ':intermediate') == 0 then
    find('in_no_list', 'it is queued, but in no list')
    if repair then
      redis.call('SADD', 'rq:queues', queue_key(queue))
      redis.call('RPUSH', queue_key(queue), id)
    end
  end
  return found
end

-- A cancelled job's entry stays in its queue by design, and may still be there when the job is retried.
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
    find('in_no_list', 'it is queued, but not in queue ' .. queue)
    if repair then redis.call('HSET', key, unpack(push(id, queue, true))) end
  elseif times > 1 and not was_cancelled() then
    find('in_two_lists', 'it is in queue ' .. queue .. ' ' .. times .. ' times')
    if repair then redis.call('LREM', queue_key(queue), 1 - times, id) end
  end
end

local function check_scheduled()
  if redis.call('ZSCORE', 'rq:scheduled:' .. queue, id) then return end
  find('in_no_list', 'it is scheduled, but not in the registry of queue ' .. queue)
  if repair then redis.call('HSET', key, unpack(schedule(id, queue, tonumber(job[7] or '') or NOW, job[10] or 'scheduled'))) end
end

-- A job that waits for a limit goes back to its queue; the next claim decides whether there is room.
local function check_limited()
  local aside = job[11] and redis.call('ZSCORE', waiting_key(job[11], queue), id)
  if aside and redis.call('ZSCORE', 'rq:deferred:' .. queue, id) then return end
  find('in_no_list', 'it waits for a limit (' .. (job[11] or 'unknown') .. '), but is not among the jobs that do')
  if repair then
    if aside then redis.call('ZREM', waiting_key(job[11], queue), id) end
    redis.call('ZREM', 'rq:deferred:' .. queue, id)
    redis.call('HDEL', key, 'limited_by')
    emit(record, 'job_queued', { status = 'pending' }, push(id, queue, true))
  end
end

local function check_deferred()
  local waits_for = cjson.decode(job[8] or '[]')
  local met, dependency, dependency_status = dependencies(waits_for)
  if met == 'met' then
    find('deferred_for_nothing', 'all jobs that it waits for have ended')
    if repair then
      redis.call('ZREM', 'rq:deferred:' .. queue, id)
      emit(record, 'job_queued', { status = 'pending' }, make_ready(id, queue, tonumber(job[7] or '')))
    end
  elseif met == 'failed' then
    find('deferred_for_nothing', 'job ' .. dependency .. ', which it waits for, is ' .. dependency_status)
    if repair then cancel_dependent(record, dependency, dependency_status) end
  else
    if not redis.call('ZSCORE', 'rq:deferred:' .. queue, id) then
      find('in_no_list', 'it is deferred, but not in the registry of queue ' .. queue)
      if repair then redis.call('ZADD', 'rq:deferred:' .. queue, whole(NOW), id) end
    end
    for _, dependency in ipairs(waits_for) do
      local other = STATUS[redis.call('HGET', job_key(dependency), 'status') or 'finished']
      if (other == 'pending' or other == 'running') and redis.call('SISMEMBER', dependents_key(dependency), id) == 0 then
        find('deferred_for_nothing', 'job ' .. dependency .. ' has no record that it waits')
        if repair then redis.call('SADD', dependents_key(dependency), id) end
      end
    end
  end
end

local function check_started()
  if not execution then
    find('held_by_nobody', 'it is started, but has no execution')
    if repair then
      redis.call('HINCRBY', key, 'resumed', 1)
      redis.call('HSET', key, 'resuming', 1)
      index(record, 'pending')
      emit(record, 'job_resumed', { status = 'pending', reason = 'worker_lost' }, push(id, queue, true))
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
  find('held_by_nobody', 'it is started, but without ' .. table.concat(missing, ', '))
  if not repair then return end
  -- A fresh lease: a live worker extends it, and a dead worker's expires as usual.
  if missing[1] == 'lease' then redis.call('ZADD', 'wh:leases', decimal(NOW + tonumber(ARGV[4])), member) end
  redis.call('ZADD', 'rq:wip:' .. queue, '+inf', member)
  redis.call('ZADD', 'rq:executions:' .. id, '+inf', execution)
  redis.call('HSETNX', 'rq:execution:' .. member, 'created_at', decimal(NOW))
  redis.call('HSETNX', 'rq:execution:' .. member, 'last_heartbeat', decimal(NOW))
  redis.call('HSET', 'rq:execution:' .. member, 'id', execution, 'worker_name', job[6] or '')
end

local OWNED = owned_keys(id)

local function check_live()
  if redis.call('TTL', key) >= 0 then
    find('expires_alive', 'it has not ended, but expires')
    if repair then
      for _, ended in ipairs({ 'completed', 'failed', 'cancelled' }) do keep(id, user, ended) end
    end
  end
end

local function check_ended()
  if execution then
    find('held_after_its_end', 'execution ' .. execution .. ' still holds it')
    if repair then
      local worker = job[6] and load_worker(job[6])
      let_go(id, queue, worker, execution)
      if worker then save_worker(worker) end
      redis.call('HDEL', key, 'execution', 'cancel')
    end
  end
  local immortal = {}
  for _, owned in ipairs(OWNED) do
    if redis.call('TTL', owned) == -1 then immortal[#immortal + 1] = owned end
  end
  if not redis.call('ZSCORE', 'wh:expiry', id .. '|' .. user .. '|' .. state) then immortal[#immortal + 1] = 'its index entry' end
  if #immortal > 0 then
    find('never_expires', table.concat(immortal, ', '))
    if repair then expire(OWNED, id, user, state, math.max(1, math.ceil((tonumber(job[9] or '') or NOW + 86400) - NOW))) end
  end
end

if not redis.call('ZSCORE', index_key(user, state), id) then
  find('not_indexed', "it is missing from its owner's index, " .. index_key(user, state))
  if repair then redis.call('ZADD', index_key(user, state), ARGV[5], id) end
end
if state == 'pending' or state == 'running' then check_live() else check_ended() end
if status == 'queued' or status == 'created' then check_queued()
elseif status == 'scheduled' then check_scheduled()
elseif status == 'deferred' and job[10] == 'limited' then check_limited()
elseif status == 'deferred' then check_deferred()
elseif status == 'started' then check_started()
end
return found
