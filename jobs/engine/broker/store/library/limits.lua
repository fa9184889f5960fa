-- Limits of running jobs, called user:<user> and type:<type>. Each limit has a set of the jobs that hold its slots, and
-- for each queue the jobs that were at its head and wait for a slot, in the order of that queue. A job holds its slots
-- from its claim to the end of its execution, and keeps them if it is put back. Running jobs are counted by the size of
-- the set, and a job frees what its own record says: no counter could drift.
-- Requires: history, queues, control.

local USER_LIMIT = 'wh:max_running_per_user'
-- Jobs that one script moves from a full limit to another.
local MOST_MOVES = 100
-- Jobs that one claim puts back.
local MOST_BACK = 10
-- Limits with room that one claim looks at.
local MOST_LOOKS = 5
-- The last job that claims have put back, by limit.
local LAST_BACK = 'wh:room:last'
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

-- Put the jobs that wait for this limit back at the heads of their queues, in order, as long as there is room, and at most
-- so many. A job whose other limit is full waits for that one instead. Return the last job that was put back, if any, and
-- whether there may be more.
local function put_back(limit, most)
  local user_limit = tonumber(redis.call('GET', USER_LIMIT) or '0')
  local back, more = {}, true
  for _ = 1, most or MOST_MOVES do
    local id, queue, number = first_waiting(limit)
    if not id then
      redis.call('SREM', 'wh:limited', limit)
      more = false
      break
    end
    local job = load_job(id)
    local full = job.limited_by == limit and (pause_of(job) or take_slots(job, user_limit))
    if full == limit then
      more = false
      break
    end
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
  return back[#back] and back[#back][1].id, more
end

-- Let claims put back the jobs that wait for a limit.
local function give_room(limit)
  redis.call('ZADD', ROOM, decimal(NOW), limit)
end

-- Put back some jobs of a limit that was given room, unless others that were put back are still in their queues: these
-- would come before them.
local function use_room()
  if not read_control().room then return end
  for _, limit in ipairs(redis.call('ZRANGEBYSCORE', ROOM, '-inf', decimal(NOW), 'LIMIT', 0, MOST_LOOKS)) do
    local last = redis.call('HGET', LAST_BACK, limit)
    if not (last and redis.call('HGET', job_key(last), 'status') == 'queued') then
      local more
      last, more = put_back(limit, MOST_BACK)
      if last then redis.call('HSET', LAST_BACK, limit, last) end
      if not more then
        redis.call('ZREM', ROOM, limit)
        redis.call('HDEL', LAST_BACK, limit)
      end
      return
    end
  end
end

local function free_slots(job)
  if not job.slots then return end
  redis.call('HDEL', job.key, 'slots')
  for limit in string.gmatch(job.slots, '[^ ]+') do redis.call('SREM', slots_key(limit), job.id) end
  for limit in string.gmatch(job.slots, '[^ ]+') do put_back(limit) end
end
