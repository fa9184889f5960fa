-- Replacing: a job that waits takes the parameters of a newer submission.
-- Requires: deadlines, unique.

-- Return the deadline of a waiting job that takes a newer submission: the newer one or else its own, if it has any; and
-- true if the job would be due only after it. A job that is due does not take the newer time.
local function deadline_after(id, newer)
  local job = redis.call('HMGET', job_key(id), 'status', 'limited_by', 'due', 'start_by')
  local not_due = job[1] == 'scheduled' or (job[1] == 'deferred' and not job[2])
  local due = math.max(not_due and newer.due or tonumber(job[3] or '') or NOW, NOW)
  local within = newer.options.start_within
  local start_by = within and due + within or newer.options.start_by or tonumber(job[4] or '')
  return start_by, start_by and start_by <= due
end

-- Give a waiting job the parameters, the limits and the deadline of a newer submission. With a time at which that one is
-- due, a job that is not due yet becomes due then. All else stays as it is.
local function replace_parameters(id, newer)
  local job = load_job(id)
  local reason = redis.call('HGET', job.key, 'reason')
  local changes = {}
  for place = newer.first, newer.last, 2 do
    if ARGV[place] == 'data' or ARGV[place] == 'limits' then append(changes, ARGV[place], ARGV[place + 1]) end
  end
  redis.call('HDEL', job.key, 'references', 'limits')
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
