-- Schedules: the decision on a tick, and the record of the last ticks.
-- Requires: times, malformed, jobs.

local KEEP_RUNS = 20
-- Unfinished jobs of one schedule that are remembered.
local KEEP_UNFINISHED = 100
-- Schedules whose tick waits for a job to end, by the time at which they were last looked at.
local WAITING_SCHEDULES = 'wh:waiting_schedules'
local function schedule_key(id) return 'wh:schedule:' .. id end
local function runs_key(id) return schedule_key(id) .. ':runs' end

-- Record a tick: '<due> <outcome> <job or nothing>'.
local function record_run(id, due, outcome, job)
  redis.call('LPUSH', runs_key(id), decimal(due) .. ' ' .. outcome .. ' ' .. (job or ''))
  redis.call('LTRIM', runs_key(id), 0, KEEP_RUNS - 1)
end

-- Return the ids of a schedule's jobs that have not ended, oldest first.
local function unfinished_jobs(id)
  local known = redis.call('HMGET', schedule_key(id), 'jobs', 'last_job_id')
  local found = {}
  for job in string.gmatch(known[1] or known[2] or '', '%S+') do
    local status = STATUS[readable('HGET', job_key(job), 'status') or '']
    if status == 'pending' or status == 'running' then found[#found + 1] = job end
  end
  return found
end

-- Forget the tick that waits for a job of the schedule to end. Its entry, if it is still among the last ones, is removed.
local function take_waiting_tick(id)
  local due = tonumber(redis.call('HGET', schedule_key(id), 'waiting') or '')
  if not due then return nil end
  redis.call('HDEL', schedule_key(id), 'waiting')
  redis.call('ZREM', WAITING_SCHEDULES, id)
  redis.call('LREM', runs_key(id), 1, decimal(due) .. ' waiting ')
  return due
end

-- Return true if the tick is still the one that its caller has read: no other process has decided on it, and the schedule
-- has not been changed since.
local function is_current(run)
  local known = redis.call('HMGET', schedule_key(run.id), 'revision', 'waiting')
  if (known[1] or '0') ~= run.revision then return false end
  if run.waited then return tonumber(known[2] or '') == run.due end
  return tonumber(redis.call('ZSCORE', 'wh:schedules', run.id) or '') == run.tick
end

-- Decide on a tick: 'started', 'skipped' or 'waiting'; or 'taken' if it is for another process, or for later, to decide.
local function decide(run)
  if not is_current(run) then return 'taken' end
  if run.overlap == 'allow' then return 'started' end
  local busy = #unfinished_jobs(run.id) > 0
  if run.waited then return busy and 'taken' or 'started' end
  local waits = tonumber(redis.call('HGET', schedule_key(run.id), 'waiting') or '')
  if not busy and not waits then return 'started' end
  return run.overlap == 'wait' and not waits and 'waiting' or 'skipped'
end

-- Record the outcome of a tick, and the ticks before it that were missed, and set the schedule to its next tick.
-- Without an outcome, all ticks were missed.
local function record_tick(run, outcome, job)
  local key = schedule_key(run.id)
  for _, due in ipairs(run.missed or {}) do record_run(run.id, due, 'missed') end
  if run.waited then
    take_waiting_tick(run.id)
  else
    redis.call('ZADD', 'wh:schedules', whole(run.following), run.id)
    -- A schedule has no tick while it is paused, so its pause is over.
    redis.call('HDEL', key, 'paused')
  end
  redis.call('HDEL', key, 'problem')
  if outcome then record_run(run.id, run.due, outcome, job) end
  if outcome == 'waiting' then
    redis.call('HSET', key, 'waiting', whole(run.due))
    redis.call('ZADD', WAITING_SCHEDULES, decimal(NOW), run.id)
  end
end

-- Record the job that a tick, or a call, has started.
local function record_start(run, job)
  local jobs = unfinished_jobs(run.id)
  jobs[#jobs + 1] = job
  redis.call('HSET', schedule_key(run.id), 'last_run_at', now_iso(), 'last_job_id', job,
    'jobs', table.concat(jobs, ' ', math.max(1, #jobs - KEEP_UNFINISHED + 1)))
  if run.manual then record_run(run.id, NOW, 'manual', job) else record_tick(run, 'started', job) end
end

-- Record that a tick, or a call, has started no job, because an equal one exists.
local function record_equal(run, job)
  if run.manual then record_run(run.id, NOW, 'skipped', job) else record_tick(run, 'skipped', job) end
end
