-- Run a failed or cancelled job again, from its checkpoint. ARGV: job, its owner's limit of unfinished jobs.
-- Returns a verdict (verdicts.py), and what it is about.
local id = ARGV[1]
local key = job_key(id)
local job = redis.call('HMGET', key, 'status', 'origin', 'user', 'dependency_ids', 'group')
if not job[1] then return { 'missing' } end
local status, queue, user = STATUS[job[1]], job[2], job[3] or ''
if status ~= 'failed' and status ~= 'cancelled' then return { 'not_ended' } end
local state, dependency = 'met', nil
if job[4] then state, dependency = dependencies(cjson.decode(job[4])) end
if state == 'failed' then return { 'dependency_failed', dependency } end
if user ~= '' then
  local active = active_jobs(user)
  if active >= tonumber(ARGV[2]) then return { 'too_many_active', active } end
end

keep(id, user, status)
if job[5] then begin_in_group(job[5], id) end
redis.call('ZREM', REGISTRY[status] .. queue, id)
index(id, user, status, 'pending')
redis.call('HDEL', key, 'attempt', 'resumed', 'deaths', 'error', 'error_type', 'ended_at', 'expires', 'due', 'meta', 'started_at')
if state == 'waiting' then
  await(id, queue, cjson.decode(job[4]))
else
  push(id, queue, false)
end
measure('jobs', (redis.call('HGET', key, 'type') or '') .. '|pending')
emit(id, 'job_queued', { status = 'pending' })
return { 'pending' }
