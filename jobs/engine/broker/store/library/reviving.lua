-- Undoing the end of a job that runs again.
-- Requires: deadlines.

-- Undo the end of a job, which had this status: its expiry, its place in registries and groups, its outcome and its
-- attempts. The caller indexes it.
local function revive(job, status)
  local id = job.id
  keep(id, job.user or '', status)
  if job.group then begin_in_group(job.group, id) end
  redis.call('ZREM', REGISTRY[status] .. job.origin, id)
  redis.call('HDEL', job.key, 'attempt', 'resumed', 'deaths', 'error', 'error_type', 'ended_at', 'expires', 'due', 'meta',
    'started_at', 'start_by')
  if job.unique and not holder(job.unique) then
    end_late_holder(job.unique)
    bind_unique(id, job.unique, redis.call('HGET', job.key, 'unique_ttl'))
  end
  measure('jobs', (job.type or '') .. '|pending')
end

-- RQ's tools can put a job back that has ended (rq/registry.py 2.12.0, FailedJobRegistry.requeue). They only know RQ's
-- part of its record, so the rest follows when the job is claimed.
local function revive_requeued(job)
  for status in pairs(REGISTRY) do
    if redis.call('ZREM', index_key(job.user or '', status), job.id) == 1 then revive(job, status) end
  end
  job.attempt, job.start_by, job.expires = false, false, false
end
