-- Seconds for which a queue may be new to the workers that can serve it.
local DISCOVERY_SECONDS = 3

-- Return why no worker takes a queued job now, or ''.
local function obstacle(queue, ready_at)
  local known = NOW - (tonumber(ready_at or '') or 0) >= DISCOVERY_SECONDS
  return known and redis.call('EXISTS', served_key(queue)) == 0 and 'no_worker' or ''
end

-- Read a job: its id, its record, the last of RQ's results, how many jobs its queue has popped, the time, and why no worker
-- takes it.
-- Returns false if the job does not exist.
-- Requires: times, malformed, jobs.

local function read_job(id)
  local fields = readable('HGETALL', job_key(id)) or {}
  if #fields == 0 then return false end
  local job = redis.call('HMGET', job_key(id), 'origin', 'status', 'ready_at')
  local queue = job[1] or ''
  local ended = (readable('XREVRANGE', results_key(id), '+', '-', 'COUNT', 1) or {})[1]
  return { id, fields, ended and ended[2] or {}, readable('GET', 'wh:popped:' .. queue) or '0', decimal(NOW),
    job[2] == 'queued' and obstacle(queue, job[3]) or '' }
end

-- Return a job that this step has stored, in the same form. `added` are the fields of its record that its client does not
-- know; nothing if more has happened to it.
local function new_record(job, added)
  if not added then return read_job(job.id) end
  return { job.id, added, {}, readable('GET', 'wh:popped:' .. job.origin) or '0', decimal(NOW), '' }
end
