-- Store jobs: all of them or none. ARGV: the admission of the request, or ''; the fields that the jobs share; then for each
-- job its description and its data in RQ's format. Refusals come in the order of the HTTP API: 401, 403, 422, 429.
-- Returns a verdict (verdicts.py), and what it is about.
local early = ARGV[1] ~= '' and admit(ARGV[1]) or 0
if early < 0 then return { 'not_admitted', early } end

local shared = cjson.decode(ARGV[2])
local user = shared.user

if shared.idempotency then
  local bound = readable('GET', shared.idempotency)
  if bound then
    local digest, id = string.match(bound, '^([^:]+):(.+)$')
    -- The key may outlive what it was used for, or be malformed. It is free then.
    if id and redis.call('EXISTS', job_key(id), group_key(id)) > 0 then
      if digest ~= shared.digest then return { 'key_reused' } end
      if early > 0 then return { 'not_admitted', early } end
      return { 'replayed', id, not shared.group and read_job(id) }
    end
  end
end

-- Deliveries to webhooks: the process that removes their entry from the outbox stores them, and no other.
if shared.outbox and redis.call('LREM', 'wh:outbox', 1, shared.outbox) == 0 then return { 'taken' } end

if shared.known_user and redis.call('EXISTS', 'wh:user:' .. user) == 0 then return { 'no_user' } end

-- A schedule's job: the process that moves the schedule from this tick to the next stores it, and no other.
local run = shared.run
if run and run.manual then
  if redis.call('EXISTS', schedule_key(run.id)) == 0 then return { 'no_schedule' } end
elseif run then
  local outcome = decide(run)
  if outcome == 'taken' then return { 'taken' } end
  if outcome ~= 'started' then
    record_tick(run, outcome)
    return { 'overlap' }
  end
end

local jobs = {}
for position = 3, #ARGV, 2 do
  local job = cjson.decode(ARGV[position])
  job.data = ARGV[position + 1]
  jobs[#jobs + 1] = job
end

local new = {}
for position, job in ipairs(jobs) do
  for _, dependency in ipairs(job.depends_on or {}) do
    local known = redis.call('HMGET', job_key(dependency), 'status', 'user')
    if not known[1] and not new[dependency] then return { 'unknown_dependency', dependency, position } end
    if known[1] and (known[2] or '') ~= user and not shared.admin then return { 'foreign_dependency', dependency } end
  end
  new[job.id] = true
end

if early > 0 then return { 'not_admitted', early } end
if shared.limit then
  local active = active_jobs(user)
  if active + #jobs > shared.limit then return { 'too_many_active', active } end
end

local group = shared.group
if group then
  redis.call('HSET', group_key(group), 'kind', shared.group_kind, 'user', user, 'created_at', NOW_ISO, 'total', #jobs,
    'job_ids', shared.job_ids)
  if shared.webhook_url then redis.call('HSET', group_key(group), 'webhook_url', shared.webhook_url) end
end

for offset, job in ipairs(jobs) do
  local key = job_key(job.id)
  local due = job.due or (job.delay and NOW + job.delay)
  -- The record comes before the first index entry: every job in an index has a record.
  redis.call('HSET', key, 'created_at', NOW_ISO, 'data', job.data, 'origin', job.queue, 'description', job.type,
    'timeout', job.timeout, 'user', user, 'type', job.type, 'attempts', job.max_attempts, 'status', 'created',
    'result_ttl', job.result_ttl, 'failure_ttl', job.failure_ttl)
  if group then redis.call('HSET', key, 'group', group) end
  if job.references then redis.call('HSET', key, 'references', cjson.encode(job.references)) end
  if job.max_running then redis.call('HSET', key, 'max_running', job.max_running) end
  if job.tags then redis.call('HSET', key, 'tags', cjson.encode(job.tags)) end
  if job.webhook_url then redis.call('HSET', key, 'webhook_url', job.webhook_url) end
  if job.acts_for then redis.call('HSET', key, 'acts_for', job.acts_for) end
  if due then redis.call('HSET', key, 'due', decimal(due)) end
  -- One microsecond apart: no two jobs of a request share a score, so a page can end after any of them.
  redis.call('ZADD', index_key(user, 'pending'), whole(SECONDS * 1e6 + MICROS + offset - 1), job.id)

  local state, dependency, dependency_status = 'met', nil, nil
  if job.depends_on then
    redis.call('HSET', key, 'dependency_ids', cjson.encode(job.depends_on), 'dependency_id', job.depends_on[1])
    state, dependency, dependency_status = dependencies(job.depends_on)
  end
  if state == 'met' then
    make_ready(job.id, job.queue, due)
    emit(job.id, 'job_queued', { status = 'pending' })
  else
    await(job.id, job.queue, job.depends_on)
    emit(job.id, 'job_queued', { status = 'pending' })
    if state == 'failed' then cancel_dependent(job.id, job.queue, user, dependency, dependency_status) end
  end
end

if run then record_start(run, jobs[1].id) end
if shared.idempotency then
  redis.call('SET', shared.idempotency, shared.digest .. ':' .. (group or jobs[1].id), 'EX', 86400)
end
return { 'stored', group or jobs[1].id, not group and read_job(jobs[1].id) }
