-- Limits: how many jobs run at once (`user:<user>`, `type:<type>`, `type:<type>|<key>`), and how many executions start in a
-- period (`rate:<type>/<seconds>`, `rate:<type>/<seconds>|<key>`). A claim takes a place of each of a job's limits, or of none.
-- The end of the execution frees those of running jobs. A running limit is counted by the size of a set, and a job frees
-- what its own record says: no counter could drift.
-- Requires: jobs, queues.

local USER_LIMIT = 'wh:max_running_per_user'
-- The type of bulk actions. The limit of a user does not apply to them: a user who has too many jobs needs one to cancel
-- them. Their type has a limit by user of its own.
local BULK_ACTION = 'bulk-action'
local function slots_key(limit) return 'wh:slots:' .. limit end
-- The executions that have started under a rate, by the latest moment at which their functions may have begun.
local function starts_key(limit) return 'wh:starts:' .. limit end

-- Seconds after its claim in which the function of a job under a rate begins. A job whose function could only begin later
-- is put back, and has twice the time at its next claim.
local START_SECONDS, MOST_START_SECONDS = 0.25, 8

-- One claim in so many, by chance, trims the executions of a rate.
local TRIM_EVERY = 8

-- Return a job's limits: their names, how many jobs they allow, and the period in seconds of a rate, or 0.
local function limits_of(job, user_limit)
  local limits = {}
  if user_limit > 0 and job.user and job.user ~= '' and job.type ~= BULK_ACTION then limits[1] = { 'user:' .. job.user, user_limit, 0 } end
  if job.max_running then limits[#limits + 1] = { 'type:' .. job.type, tonumber(job.max_running), 0 } end
  if job.limits then append(limits, unpack(cjson.decode(job.limits))) end
  return limits
end

local function free_places(limit)
  local name, count, period = limit[1], limit[2], limit[3]
  if period == 0 then return count - redis.call('SCARD', slots_key(name)) end
  return count - redis.call('ZCOUNT', starts_key(name), decimal(NOW - period), '+inf')
end

-- Return when a full rate has a place again.
local function next_place(limit)
  local name, count, period = limit[1], limit[2], limit[3]
  local oldest = redis.call('ZREVRANGE', starts_key(name), count - 1, count - 1, 'WITHSCORES')[2]
  return math.max(NOW, (tonumber(oldest or '') or 0) + period)
end

-- Count an execution in the window of a rate: until a period after the last moment at which its function may begin.
local function record_execution(limit, execution, begins)
  local key, period = starts_key(limit[1]), limit[3]
  -- Executions that have left the window are removed now and then. They are not counted.
  if MICROS % TRIM_EVERY == 0 then redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. decimal(NOW - period)) end
  redis.call('ZADD', key, decimal(begins), execution)
  redis.call('PEXPIRE', key, whole((begins + period - NOW) * 1000 + 1000))
end

local function start_seconds(job)
  local resumed = job.resuming and tonumber(redis.call('HGET', job.key, 'resumed') or '') or 0
  return math.min(START_SECONDS * 2 ^ resumed, MOST_START_SECONDS)
end

-- The limits that the step with these arguments has found full. A step that claims frees no places.
local full_of, full

local function has_place(limit)
  if full_of ~= ARGV then full_of, full = ARGV, {} end
  if not full[limit[1]] and free_places(limit) < 1 then full[limit[1]] = true end
  return not full[limit[1]]
end

-- Take a place of each of a job's limits for an execution. Return what changes in the job's record; or nothing and the
-- first limit that is full.
local function take_places(job, execution, user_limit)
  if user_limit == 0 and not job.max_running and not job.limits then return {} end
  local limits = limits_of(job, user_limit)
  for _, limit in ipairs(limits) do
    if not has_place(limit) then return nil, limit end
  end
  local slots, changes, seconds = {}, {}, nil
  for _, limit in ipairs(limits) do
    if limit[3] == 0 then
      redis.call('SADD', slots_key(limit[1]), job.id)
      slots[#slots + 1] = limit[1]
    else
      seconds = seconds or start_seconds(job)
      record_execution(limit, execution, NOW + seconds)
    end
  end
  if #slots > 0 then append(changes, 'slots', table.concat(slots, ' ')) end
  if seconds then append(changes, 'start_seconds', tostring(seconds)) end
  return changes
end
