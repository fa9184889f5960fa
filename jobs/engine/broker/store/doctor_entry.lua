-- Examine one entry or key that belongs to a job, and remove it on request if it is wrong.
-- ARGV: what it is, its key, the entry in it or '' for the key itself, '1' to repair. Returns kind and detail, or nothing.
-- Requires: waiting, unique.
local place, key, member, repair = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local function find(id)
  local job = redis.call('HMGET', job_key(id), 'status', 'origin', 'user', 'version', 'execution')
  return job[1] and STATUS[job[1]], job[1], job
end

-- Check that this execution holds the job. Those of plain RQ's jobs are RQ's.
local function judge_hold(id, execution)
  local state, _, job = find(id)
  if not state then return 'held_without_job', 'job ' .. id .. ' is gone' end
  if not job[4] or (state == 'running' and job[5] == execution) then return end
  if state ~= 'pending' and state ~= 'running' then return 'held_after_its_end', 'job ' .. id .. ' is ' .. state end
  return 'held_without_job', 'job ' .. id .. ' is ' .. (job[5] and 'held by execution ' .. job[5] or state)
end

local judge = {}

function judge.hold()
  return judge_hold(string.match(member, '^(.*):([^:]*)$'))
end

function judge.execution()
  if redis.call('TTL', key) ~= -1 then return end
  local kind, detail = judge_hold(string.match(key, '^rq:execution:(.*):([^:]*)$'))
  return kind and 'execution_without_job', detail
end

function judge.executions()
  local kind, detail = judge_hold(string.match(key, '^rq:executions:(.*)$'), member)
  return kind and 'execution_without_job', detail
end

function judge.index()
  local user, status = string.match(key, '^wh:jobs:(.*):([^:]*)$')
  local state, _, job = find(member)
  if not state then
    -- It has expired, and the next sweep removes it.
    if redis.call('ZSCORE', 'wh:expiry', member .. '|' .. user .. '|' .. status) then return end
    return 'wrong_index', 'job ' .. member .. ' is gone'
  end
  if state ~= status or (job[3] or '') ~= user then
    return 'wrong_index', 'job ' .. member .. ' is ' .. state .. ' and belongs to ' .. (job[3] or 'no user')
  end
end

local BELONGS = { scheduled = 'scheduled', deferred = 'deferred', finished = 'finished', failed = 'failed', canceled = 'canceled' }

function judge.registry()
  local name, queue = string.match(key, '^rq:([^:]*):(.*)$')
  local state, status, job = find(member)
  if not state then
    local score = tonumber(redis.call('ZSCORE', key, member) or '0')
    local ended = name ~= 'scheduled' and name ~= 'deferred'
    -- RQ's clean-up and our sweep remove expired entries.
    if ended and score <= NOW + 60 then return end
    return 'entry_without_job', 'job ' .. member .. ' is gone'
  end
  if not job[4] or (status == BELONGS[name] and job[2] == queue) then return end
  if name == 'failed' and status == 'stopped' then return end
  return 'in_two_lists', 'job ' .. member .. ' is ' .. status .. ' in queue ' .. job[2]
end

function judge.queue()
  local state, status, job = find(member)
  if not job[4] or (state ~= 'pending' and state ~= 'running') then return end
  local queue = string.sub(key, #'rq:queue:' + 1)
  if job[2] ~= queue then return 'in_two_lists', 'job ' .. member .. ' belongs to queue ' .. job[2] end
  if status == 'queued' or status == 'created' then return end
  for _, event in ipairs(redis.call('LRANGE', events_key(member), 0, -1)) do
    -- A cancelled job's entry stays in its queue by design, and may still be there when the job is retried.
    if string.find(event, '"job_cancelled"', 1, true) then return end
  end
  return 'in_two_lists', 'job ' .. member .. ' is ' .. status
end

function judge.limited()
  local state, status = find(member)
  if not state then return 'entry_without_job', 'job ' .. member .. ' is gone' end
  local limit = redis.call('HGET', job_key(member), 'limited_by')
  if limit and string.sub(key, -#limit - 1) == ':' .. limit then return end
  return 'in_two_lists', 'job ' .. member .. ' is ' .. status
end

function judge.slot()
  local slots = redis.call('HGET', job_key(member), 'slots') or ''
  for limit in string.gmatch(slots, '[^ ]+') do
    if slots_key(limit) == key then return end
  end
  return 'slot_without_job', 'job ' .. member .. (find(member) and ' is not running' or ' is gone')
end

function judge.called()
  local called = redis.call('HMGET', job_key(member), 'status', 'called')
  for limit in string.gmatch(called[2] or '', '[^ ]+') do
    if called_key(limit) == key and called[1] == 'queued' then return end
  end
  return 'slot_without_job', 'job ' .. member .. (find(member) and ' is not waiting' or ' is gone')
end

function judge.unique()
  local id = redis.call('GET', key)
  local job = redis.call('HMGET', job_key(id or ''), 'status', 'unique')
  local state = job[1] and STATUS[job[1]]
  if (state == 'pending' or state == 'running') and unique_key(job[2] or '') == key then return end
  return 'key_without_job', 'job ' .. (id or '') .. ' is ' .. (state or 'gone')
end

function judge.deadline()
  local state, _, job = find(member)
  if state == 'pending' then return end
  return 'entry_without_job', 'job ' .. member .. ' is ' .. (state or 'gone')
end

function judge.expiry()
  local id, user, status = string.match(member, '^([^|]*)|([^|]*)|([^|]*)$')
  local state, _, job = find(id)
  if state and (state ~= status or (job[3] or '') ~= user) then return 'expires_alive', 'job ' .. id .. ' is ' .. state end
end

function judge.owned()
  local id = string.match(key, '^wh:events:(.*)$') or string.match(key, '^wh:logs:(.*)$') or string.match(key, '^wh:checkpoint:(.*)$')
    or string.match(key, '^rq:results:(.*)$') or string.match(key, '^rq:job:(.*):dependents$')
  if redis.call('TTL', key) == -1 and redis.call('EXISTS', job_key(id)) == 0 then
    return 'key_without_job', 'job ' .. id .. ' is gone'
  end
end

function judge.worker()
  if redis.call('TTL', key) == -1 then return 'never_expires', 'the record of a worker' end
end

local function exists()
  if member == '' then return redis.call('EXISTS', key) == 1 end
  local kind = redis.call('TYPE', key).ok
  if kind == 'zset' then return redis.call('ZSCORE', key, member) end
  if kind == 'set' then return redis.call('SISMEMBER', key, member) == 1 end
  if kind == 'hash' then return redis.call('HEXISTS', key, member) == 1 end
  return kind == 'list' and redis.call('LPOS', key, member)
end

local function remove()
  if place == 'worker' then
    redis.call('EXPIRE', key, 80)
  elseif member == '' then
    redis.call('DEL', key)
  elseif place == 'queue' then
    redis.call('LREM', key, 0, member)
  elseif place == 'slot' then
    redis.call('SREM', key, member)
    put_back(string.sub(key, #slots_key('') + 1))
  elseif place == 'called' then
    redis.call('SREM', key, member)
  elseif key == 'wh:suspects' then
    redis.call('HDEL', key, member)
  else
    redis.call('ZREM', key, member)
  end
end

local kind, detail = judge[place]()
if not kind or not exists() then return {} end
if repair then remove() end
return { kind, detail }
