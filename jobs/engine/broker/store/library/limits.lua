-- Limits of running jobs, called user:<user> and type:<type>. Each limit has a set of the jobs that hold its slots, and
-- for each queue the jobs that were at its head and wait for a slot, in the order of that queue. A job holds its slots
-- from its claim to the end of its execution, and keeps them if it is put back. Running jobs are counted by the size of
-- the set, and a job frees what its own record says: no counter could drift.
-- Requires: history, queues.

local USER_LIMIT = 'wh:max_running_per_user'
-- Jobs that one script moves from a full limit to another.
local MOST_MOVES = 100
local function slots_key(limit) return 'wh:slots:' .. limit end
local function waiting_key(limit, queue) return 'wh:limited:' .. queue .. ':' .. limit end

-- Take a slot of each of a job's limits, or of none. Return the first limit that is full.
local function take_slots(job, user_limit)
  if user_limit == 0 and not job.max_running then return end
  local limits = {}
  if user_limit > 0 and job.user and job.user ~= '' then limits[1] = { 'user:' .. job.user, user_limit } end
  if job.max_running then limits[#limits + 1] = { 'type:' .. job.type, tonumber(job.max_running) } end
  local names = {}
  for _, limit in ipairs(limits) do
    if redis.call('SCARD', slots_key(limit[1])) >= limit[2] then return limit[1] end
    names[#names + 1] = limit[1]
  end
  for _, name in ipairs(names) do redis.call('SADD', slots_key(name), job.id) end
  if #names > 0 then redis.call('HSET', job.key, 'slots', table.concat(names, ' ')) end
end

-- Let a job wait for a limit, and return what changes in its record. RQ sees it as deferred.
local function set_aside(id, queue, limit, number)
  redis.call('ZADD', waiting_key(limit, queue), number or 0, id)
  redis.call('SADD', 'wh:limited', limit)
  redis.call('ZADD', 'rq:deferred:' .. queue, whole(NOW), id)
  return { 'status', 'deferred', 'reason', 'limited', 'limited_by', limit }
end

local function first_waiting(limit)
  for _, queue in ipairs(our_queues()) do
    local first = redis.call('ZRANGE', waiting_key(limit, queue), 0, 0, 'WITHSCORES')
    if first[1] then return first[1], queue, first[2] end
  end
end

-- Put the jobs that wait for this limit back at the heads of their queues, in order, as long as there is room.
-- A job whose other limit is full waits for that one instead.
local function put_back(limit)
  local user_limit = tonumber(redis.call('GET', USER_LIMIT) or '0')
  local back = {}
  for _ = 1, MOST_MOVES do
    local id, queue, number = first_waiting(limit)
    if not id then
      redis.call('SREM', 'wh:limited', limit)
      break
    end
    local job = load_job(id)
    local full = job.limited_by == limit and take_slots(job, user_limit)
    if full == limit then break end
    redis.call('ZREM', waiting_key(limit, queue), id)
    if full then
      redis.call('HSET', job.key, unpack(set_aside(id, queue, full, number)))
    elseif job.limited_by == limit then
      back[#back + 1] = { job, queue }
    end
  end
  for position = #back, 1, -1 do
    local job, queue = back[position][1], back[position][2]
    redis.call('ZREM', 'rq:deferred:' .. queue, job.id)
    redis.call('HDEL', job.key, 'limited_by')
    emit(job, 'job_queued', { status = 'pending', reason = 'queued' }, push(job.id, queue, true))
  end
end

local function free_slots(job)
  if not job.slots then return end
  redis.call('HDEL', job.key, 'slots')
  for limit in string.gmatch(job.slots, '[^ ]+') do redis.call('SREM', slots_key(limit), job.id) end
  for limit in string.gmatch(job.slots, '[^ ]+') do put_back(limit) end
end
