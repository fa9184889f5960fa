-- Read a group. ARGV: group. Returns its record, and for each job: id, our status, type, RQ's meta, error, error's type.
-- A job that has expired has the status in which it ended; a job that was deleted before its end counts as cancelled.
-- Requires: malformed, jobs, groups.
local group = ARGV[1]
local record = readable('HGETALL', group_key(group)) or {}
if #record == 0 then return {} end
local jobs = {}
for position, id in ipairs(decoded(redis.call('HGET', group_key(group), 'job_ids'))) do
  id = tostring(id)
  local job = readable('HMGET', job_key(id), 'status', 'type', 'meta', 'error', 'error_type') or {}
  local status = job[1] and STATUS[job[1]] or readable('HGET', ended_key(group), id) or 'cancelled'
  jobs[position] = { id, status, job[2] or '', job[3] or '', job[4] or '', job[5] or '' }
end
return { record, jobs }
