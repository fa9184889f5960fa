-- Deadlines: a job that has not started by its deadline never starts.
-- Requires: endings.

local DEADLINES = 'wh:start_by'

-- Set a job's deadline, and return what changes in its record.
local function set_deadline(id, start_by)
  redis.call('ZADD', DEADLINES, decimal(start_by), id)
  return { 'start_by', decimal(start_by) }
end

-- Cancel a job that has missed its deadline.
local function end_late(job)
  redis.call('ZREM', 'rq:scheduled:' .. job.origin, job.id)
  redis.call('ZREM', 'rq:deferred:' .. job.origin, job.id)
  local error = 'The job had not started by ' .. string.sub(iso(tonumber(job.start_by)), 1, 19) .. 'Z, its start_by.'
  end_job(job, 'cancelled', { error_type = 'expired', error = error })
end

-- Cancel the job that had a unique key until it missed its deadline: another job takes the key.
local function end_late_holder(unique)
  local id = readable('GET', unique_key(unique))
  local job = id and load_job(id)
  if job and job.unique == unique and STATUS[job.status] == 'pending' and not holder(unique) then end_late(job) end
end
