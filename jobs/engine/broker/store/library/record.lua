-- How steps return a job.
-- Requires: times, malformed, jobs, control.

-- Seconds for which a queue may be new to the workers that can serve it.
local DISCOVERY_SECONDS = 3

-- Return why no worker takes a job now that would otherwise be taken, or ''.
local function obstacle(job)
  if queue_is_paused(job.origin) or pause_of(job) then return 'paused' end
  if read_control().suspended then return 'suspended' end
  local known = NOW - (tonumber(job.ready_at or '') or 0) >= DISCOVERY_SECONDS
  return known and redis.call('EXISTS', served_key(job.origin)) == 0 and 'no_worker' or ''
end

-- Read a job: its id, its record, the last of RQ's results, how many jobs its queue has popped, the time, why no worker
-- takes it, when the limit that it waits for has room, and how many jobs of its owner run at once if it waits for that.
-- Returns false if the job does not exist.
local function read_job(id)
  local fields = readable('HGETALL', job_key(id)) or {}
  if #fields == 0 then return false end
  local read = redis.call('HMGET', job_key(id), 'origin', 'status', 'ready_at', 'type', 'reason', 'limited_by')
  local job = { origin = read[1] or '', ready_at = read[3], type = read[4] }
  -- Whether a job that waits for a limit could run is decided when the limit has room.
  local waits = read[2] == 'queued' or read[5] == 'limited'
  local ended = (readable('XREVRANGE', results_key(id), '+', '-', 'COUNT', 1) or {})[1]
  return { id, fields, ended and ended[2] or {}, readable('GET', 'wh:popped:' .. job.origin) or '0', decimal(NOW),
    waits and obstacle(job) or '', read[6] and redis.call('ZSCORE', ROOM, read[6]) or '',
    read[6] and readable('GET', 'wh:max_running_per_user') or '0' }
end

-- Return a job that this step has stored, in the same form. `added` are the fields of its record that its client does not
-- know; nothing if more has happened to it.
local function new_record(job, added)
  if not added then return read_job(job.id) end
  local queued = added[1] == 'status' and added[2] == 'queued'
  return { job.id, added, {}, readable('GET', 'wh:popped:' .. job.origin) or '0', decimal(NOW),
    queued and obstacle({ origin = job.origin, type = job.type, ready_at = NOW }) or '', '', '0' }
end
