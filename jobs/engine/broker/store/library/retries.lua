-- Running a job again.
-- Requires: reviving.

-- Return the refusal of a job that can't run again as it is: a verdict (verdicts.py), and what it is about. For any other
-- job, return nil, the state of its dependencies, and their ids.
local function retry_refusal(job)
  if not job.status then return { 'missing' } end
  local status = STATUS[job.status]
  if status ~= 'failed' and status ~= 'cancelled' then return { 'not_ended' } end
  local stored = redis.call('HGET', job.key, 'dependency_ids')
  local ids = stored and cjson.decode(stored) or {}
  local state, failed = dependencies(ids)
  if state == 'failed' then return { 'dependency_failed', failed } end
  local other = job.unique and holder(job.unique)
  if other then return { 'duplicate', other } end
  return nil, state, ids
end

-- Put a job of plain RQ that has ended back into its queue. It stays one of plain RQ: it has no history and no owner, and
-- its version is made of its claims (client/job.py).
local function retry_foreign(job, status, state, ids)
  keep(job.id, job.user or '', status)
  redis.call('ZREM', index_key(job.user or '', status), job.id)
  redis.call('ZREM', REGISTRY[status] .. job.origin, job.id)
  -- Its worker may not have released it yet.
  redis.call('HDEL', job.key, 'execution', 'cancel', 'deaths', 'error', 'error_type', 'ended_at', 'expires', 'started_at',
    'refused', 'number')
  -- A job that was cancelled while it waited has not been claimed, and its version has still increased.
  redis.call('HSETNX', job.key, 'claims', 1)
  redis.call('HSET', job.key,
    unpack(state == 'waiting' and await(job.id, job.origin, ids) or push(job.id, job.origin, false)))
end

-- Run a failed or cancelled job again, from its checkpoint, unless its owner has `limit` unfinished jobs.
-- Returns a verdict (verdicts.py), and what it is about.
local function retry_job(id, limit)
  local job = load_job(id)
  local refusal, state, ids = retry_refusal(job)
  if refusal then return refusal end
  local status, queue, user = STATUS[job.status], job.origin, job.user or ''
  if user ~= '' then
    local active = active_jobs(user)
    if active >= limit then return { 'too_many_active', active } end
  end

  if not job.version then
    retry_foreign(job, status, state, ids)
    return { 'pending' }
  end
  revive(job, status)
  index(job, 'pending')
  emit(job, 'job_queued', { status = 'pending' },
    state == 'waiting' and await(id, queue, ids) or push(id, queue, false))
  return { 'pending' }
end
