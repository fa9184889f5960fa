-- One step of a bulk action: look at some jobs of one owner, in the order of their creation, and act on those that match.
-- A cancellation begins with the newest: a job that depends on another is then cancelled by itself, not because of the other.
-- ARGV: the bulk action's job, its user, action, owner, filter, highest score, the owner's limit of unfinished jobs, how many
-- jobs to look at, how many to act on, seconds for which its state is kept.
-- Returns more, end (of this owner's jobs), full (the owner has too many unfinished jobs), busy (a message about a job is not
-- sent yet) or stopped; and how many jobs it has looked at, and how many matched, were done and were skipped.
-- The same step stores how far it is: whatever is killed when, no job is acted on or counted twice.
-- Requires: retries, bulk.
local bulk, actor, action, owner, highest, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[6], tonumber(ARGV[7])
local filter, most_looks, most_acts = cjson.decode(ARGV[5]), tonumber(ARGV[8]), tonumber(ARGV[9])
local state = bulk_key(bulk)

local news = { looked = 0, matched = 0, done = 0, skipped = 0 }
local function reply(word)
  for name, count in pairs(news) do
    if count > 0 then redis.call('HINCRBY', state, name, count) end
  end
  redis.call('EXPIRE', state, ARGV[10])
  local counts = redis.call('HMGET', state, 'looked', 'matched', 'done', 'skipped')
  return { word, tonumber(counts[1] or 0), tonumber(counts[2] or 0), tonumber(counts[3] or 0), tonumber(counts[4] or 0) }
end

local own = redis.call('HMGET', job_key(bulk), 'user', 'cancel', 'created_at')
local began = own[3]
if own[1] ~= actor or own[2] or not began then return reply('stopped') end
-- The bulk action itself is one of its user's unfinished jobs.
if owner == actor then limit = limit + 1 end

local UNFINISHED, RETRYABLE = { pending = true, running = true }, { failed = true, cancelled = true }
local ENDED = { completed = true, failed = true, cancelled = true }
local act = {}

function act.cancel(id)
  local verdict = unchanged(id, began, UNFINISHED) and cancel_job(id)
  return (verdict == 'cancelled' or verdict == 'stopping') and 'done' or 'skipped'
end

function act.retry(id, job)
  if not (RETRYABLE[job.status] and unchanged(id, began, RETRYABLE)) then return 'skipped' end
  local verdict = retry_job(id, limit)[1]
  return verdict == 'pending' and 'done' or verdict == 'too_many_active' and 'full' or 'skipped'
end

-- Messages are sent in the order of the events. The oldest one that is not sent yet is read from the head.
local function message_may_wait(job)
  local first = redis.call('LINDEX', 'wh:outbox', 0)
  local at = first and string.match(first, '"at":"([^"]+)"')
  return at and at <= (job.ended_at or '')
end

-- A batch or pipeline whose other jobs have not ended may still need this one's result.
local function is_needed(group)
  local total = group and tonumber(redis.call('HGET', group_key(group), 'total') or '')
  return total and redis.call('HLEN', ended_key(group)) < total
end

function act.delete(id, job)
  if not (ENDED[job.status] and unchanged(id, began, ENDED)) or is_needed(job.group) then return 'skipped' end
  if message_may_wait(job) then return 'busy' end
  erase({ id = id, origin = job.origin, user = owner }, job.status)
  return 'done'
end

local JUDGED = { 'status', 'type', 'tags', 'error', 'error_type', 'origin', 'version', 'group', 'ended_at' }

-- Act on a job. Returns done, skipped, full or busy; or nothing if it does not match.
local function attend(id)
  local found, job = redis.call('HMGET', job_key(id), unpack(JUDGED)), {}
  for place, name in ipairs(JUDGED) do job[name] = found[place] or nil end
  -- It may have expired, or belong to plain RQ.
  if id == bulk or not job.status or not job.version then return end
  job.status = STATUS[job.status]
  if is_of(job, filter) and is_in_state(id, job, filter, began) then return act[action](id, job) end
end

local known = redis.call('HMGET', state, 'owner', 'score')
local newest_first = action == 'cancel'
local lowest, last = filter.lowest or '-inf', known[1] == owner and known[2]
if last and newest_first then highest = '(' .. last elseif last then lowest = '(' .. last end
redis.call('HSET', state, 'owner', owner)
if known[1] ~= owner then redis.call('HDEL', state, 'score') end

-- A job that changes its status keeps its score, so it is found in one of the indexes when its turn comes.
local rows = {}
for _, status in ipairs(filter.statuses) do
  local key, found = index_key(owner, status), nil
  if newest_first then
    found = readable('ZREVRANGEBYSCORE', key, highest, lowest, 'WITHSCORES', 'LIMIT', 0, most_looks)
  else
    found = readable('ZRANGEBYSCORE', key, lowest, highest, 'WITHSCORES', 'LIMIT', 0, most_looks)
  end
  found = found or {}
  for place = 1, #found, 2 do rows[#rows + 1] = { found[place], found[place + 1] } end
end
if #rows == 0 then return reply('end') end
table.sort(rows, function(a, b)
  local x, y = tonumber(a[2]), tonumber(b[2])
  if x == y then return a[1] < b[1] end
  return (x < y) ~= newest_first
end)

last = nil
for place, row in ipairs(rows) do
  local id, score = row[1], row[2]
  -- Jobs with the same score belong to the same step: the next one begins after this score.
  if last ~= score then
    if last then redis.call('HSET', state, 'score', last) end
    if place > most_looks or news.matched >= most_acts then return reply('more') end
    last = score
  end
  local good, verdict = pcall(attend, id)
  if not good then
    redis.log(redis.LOG_WARNING, "workhorse: bulk action " .. bulk .. " can't act on job " .. id .. ': ' .. tostring(verdict.err or verdict))
    verdict = 'skipped'
  end
  if verdict == 'full' or verdict == 'busy' then return reply(verdict) end
  news.looked = news.looked + 1
  if verdict then
    news.matched = news.matched + 1
    news[verdict] = news[verdict] + 1
  end
end
redis.call('HSET', state, 'score', last)
return reply('more')
