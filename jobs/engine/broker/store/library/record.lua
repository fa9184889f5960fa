-- Read a job: its id, its record, the last of RQ's results, how many jobs its queue has popped, and the time.
-- Returns false if the job does not exist.
local function read_job(id)
  local fields = readable('HGETALL', job_key(id)) or {}
  if #fields == 0 then return false end
  local queue = redis.call('HGET', job_key(id), 'origin') or ''
  local ended = (readable('XREVRANGE', results_key(id), '+', '-', 'COUNT', 1) or {})[1]
  return { id, fields, ended and ended[2] or {}, readable('GET', 'wh:popped:' .. queue) or '0', decimal(NOW) }
end
