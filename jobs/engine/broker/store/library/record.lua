-- Read a job: its id, its record, the last of RQ's results, how many jobs its queue has popped, and the time.
-- Returns false if the job does not exist.
local function read_job(id)
  local fields = redis.call('HGETALL', job_key(id))
  if #fields == 0 then return false end
  local queue = redis.call('HGET', job_key(id), 'origin') or ''
  local ended = redis.call('XREVRANGE', results_key(id), '+', '-', 'COUNT', 1)[1]
  return { id, fields, ended and ended[2] or {}, redis.call('GET', 'wh:popped:' .. queue) or '0', decimal(NOW) }
end
