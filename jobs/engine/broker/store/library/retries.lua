-- Running a job again.
-- Requires: endings.

-- Run a failed or cancelled job again, from its checkpoint, unless its owner has `limit` unfinished jobs.
-- Returns a verdict (verdicts.py), and what it is about.
local function retry_job(id, limit)
  local job = load_job(id)
  if not job.status then return { 'missing' } end
  local key, status, queue, user = job.key, STATUS[job.status], job.origin, job.user or ''
  if status ~= 'failed' and status ~= 'cancelled' then return { 'not_ended' } end
  local waits_for = redis.call('HGET', key, 'dependency_ids')
  local state, dependency = 'met', nil
  if waits_for then state, dependency = dependencies(cjson.decode(waits_for)) end
  if state == 'failed' then return { 'dependency_failed', dependency } end
  local other = job.unique and holder(job.unique)
  if other then return { 'duplicate', other } end
  if user ~= '' then
    local active = active_jobs(user)
    if active >= limit then return { 'too_many_active', active } end
  end

  keep(id, user, status)
  if job.group then begin_in_group(job.group, id) end
  redis.call('ZREM', REGISTRY[status] .. queue, id)
  index(job, 'pending')
  redis.call('HDEL', key, 'attempt', 'resumed', 'deaths', 'error', 'error_type', 'ended_at', 'expires', 'due', 'meta', 'started_at',
    'start_by')
  if job.unique then bind_unique(id, job.unique, redis.call('HGET', key, 'unique_ttl')) end
  measure('jobs', (job.type or '') .. '|pending')
  emit(job, 'job_queued', { status = 'pending' },
    state == 'waiting' and await(id, queue, cjson.decode(waits_for)) or push(id, queue, false))
  return { 'pending' }
end
