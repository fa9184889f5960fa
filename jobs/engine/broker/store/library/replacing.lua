-- Replacing: a job that waits takes the parameters of a newer submission.
-- Requires: deadlines, unique.

-- Give a waiting job the parameters, the limits and the deadline of a newer submission. With a time at which that one is
-- due, a job that is not due yet becomes due then. All else stays as it is.
local function replace_parameters(id, newer)
  local job = load_job(id)
  local reason = redis.call('HGET', job.key, 'reason')
  local changes = {}
  for place = newer.first, newer.last, 2 do
    if ARGV[place] == 'data' or ARGV[place] == 'limits' then append(changes, ARGV[place], ARGV[place + 1]) end
  end
  redis.call('HDEL', job.key, 'references', 'limits', 'start_by')
  redis.call('ZREM', DEADLINES, id)
  if newer.start_by then append(changes, unpack(set_deadline(id, newer.start_by))) end
  if job.status == 'scheduled' and newer.due then
    append(changes, unpack(schedule(id, job.origin, newer.due, reason)))
  elseif job.status == 'deferred' and job.limited_by then
    -- It may wait for another limit now: the next claim decides.
    no_longer_waits(job)
    append(changes, unpack(push(id, job.origin, true)))
    reason = 'queued'
  elseif job.status == 'deferred' and newer.due then
    append(changes, 'due', decimal(newer.due))
  end
  emit(job, 'job_queued', { status = 'pending', reason = reason }, changes)
end
