-- Store jobs: all of them or none. ARGV: the admission of the request, or ''; the options that the jobs share; then each
-- job (new_jobs.py). Refusals come in the order of the HTTP API: 401, 403, 422, 409, 429.
-- Returns a verdict (verdicts.py), and what it is about. The reply with a stored job has the fields that were added to it.
-- Requires: admit, record, replacing, schedules.
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

if shared.known_user and ARGV[1] == '' and redis.call('EXISTS', 'wh:user:' .. user) == 0 then return { 'no_user' } end

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

-- Record what the request has led to: a job or a group, or a job that existed.
local function record_outcome(id, existed)
  if run then (existed and record_equal or record_start)(run, id) end
  if shared.idempotency then redis.call('SET', shared.idempotency, shared.digest .. ':' .. id, 'EX', 86400) end
end

-- Read the jobs. Their records come as names and values, ready to be stored.
local jobs = {}
local place = 3
while place <= #ARGV do
  local options, values = ARGV[place + 4], tonumber(ARGV[place + 5])
  local job = { id = ARGV[place], key = job_key(ARGV[place]), origin = ARGV[place + 1], type = ARGV[place + 2], user = user,
    webhook_url = ARGV[place + 3] ~= '' and ARGV[place + 3], options = options ~= '' and cjson.decode(options) or {},
    first = place + 6, last = place + 5 + values }
  jobs[#jobs + 1] = job
  place = job.last + 1
end

local new = {}
for position, job in ipairs(jobs) do
  for _, dependency in ipairs(job.options.depends_on or {}) do
    local known = redis.call('HMGET', job_key(dependency), 'status', 'user')
    if not known[1] and not new[dependency] then return { 'unknown_dependency', dependency, position } end
    if known[1] and (known[2] or '') ~= user and not shared.admin then return { 'foreign_dependency', dependency } end
  end
  new[job.id] = true
end

for position, job in ipairs(jobs) do
  local options = job.options
  job.due = options.due or (options.delay and NOW + options.delay)
  local earliest = math.max(job.due or NOW, NOW)
  job.start_by = options.start_within and earliest + options.start_within or options.start_by
  if job.start_by and job.start_by <= earliest then return { 'never_starts', position } end
end

-- The job that has the unique key of the one job that is submitted. Jobs that are submitted together are all new.
local equal
local alone = #jobs == 1 and not shared.group
local positions = {}
for position, job in ipairs(jobs) do
  local unique = job.options.unique
  if unique then
    local id, started = holder(unique.key)
    local other = positions[unique.key]
    if other then return { 'duplicate_in_request', position, other } end
    if id and (not alone or unique.on_conflict == 'reject') then return { 'duplicate', id, position } end
    if started and unique.on_conflict == 'replace' then return { 'duplicate_started', id } end
    equal, positions[unique.key] = id, position
  end
end

local replaces = equal and jobs[1].options.unique.on_conflict == 'replace'
if replaces then
  local start_by, too_early = deadline_after(equal, jobs[1])
  if too_early then return { 'never_starts', equal, 1 } end
  jobs[1].start_by = start_by
end

if early > 0 then return { 'not_admitted', early } end
if equal then
  if replaces then replace_parameters(equal, jobs[1]) end
  record_outcome(equal, true)
  return { 'deduplicated', equal, read_job(equal) }
end
if shared.limit then
  local active = active_jobs(user)
  if active + #jobs > shared.limit then return { 'too_many_active', active } end
end
for unique in pairs(positions) do end_late_holder(unique) end

local group = shared.group
if group then
  redis.call('HSET', group_key(group), 'kind', shared.group_kind, 'user', user, 'created_at', now_iso(), 'total', #jobs,
    'job_ids', shared.job_ids)
  if shared.webhook_url then redis.call('HSET', group_key(group), 'webhook_url', shared.webhook_url) end
end

-- Store one job. Return the fields that were added to those that it came with; nothing if it was cancelled at once.
local function store(job, offset)
  local id, options, due = job.id, job.options, job.due
  local state, dependency, dependency_status = 'met', nil, nil
  if options.depends_on then state, dependency, dependency_status = dependencies(options.depends_on) end
  local added = state == 'met' and make_ready(id, job.origin, due) or await(id, job.origin, options.depends_on)
  -- One microsecond apart: no two jobs of a request share a score, so a page can end after any of them.
  local score = whole(SECONDS * 1e6 + MICROS + offset)
  append(added, 'created_at', now_iso(), 'score', score)
  if due then append(added, 'due', decimal(due)) end
  if job.start_by then append(added, unpack(set_deadline(id, job.start_by))) end
  if options.unique then bind_unique(id, options.unique.key, options.unique.ttl_ms) end
  local record = { unpack(ARGV, job.first, job.last) }
  append(record, unpack(added))
  emit(job, 'job_queued', { status = 'pending' }, record)
  -- The record comes before the index entry: every job in an index has a record.
  redis.call('ZADD', index_key(user, 'pending'), score, id)
  if state == 'failed' then return cancel_dependent(load_job(id), dependency, dependency_status) end
  append(added, 'version', '1')
  return added
end

local added
for position, job in ipairs(jobs) do added = store(job, position - 1) end

record_outcome(group or jobs[1].id)
if group then return { 'stored', group } end
return { 'stored', jobs[1].id, new_record(jobs[1], added) }
