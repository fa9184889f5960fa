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
