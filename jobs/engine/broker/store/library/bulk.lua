-- Bulk actions: which jobs one acts on. A job is judged by what it was when the bulk action was submitted.
-- Requires: history, malformed.

-- How far it is: the owner whose jobs it looks at, the score of the last one, and counts.
local function bulk_key(id) return 'wh:bulk:' .. id end

local STATUS_AFTER = { queued = 'pending', retrying = 'pending', resumed = 'pending', started = 'running', progress = 'running',
  completed = 'completed', failed = 'failed', cancelled = 'cancelled' }

-- Return true if a job has been in one of these statuses from `began` until now. Times are written as `now_iso` does.
-- A history that is cut off after `began` leaves the answer open: such a job is not touched.
local function unchanged(id, began, statuses)
  for place = -1, -KEEP_EVENTS, -1 do
    local event = redis.call('LINDEX', events_key(id), place)
    if not event then return false end
    -- In a message, quotation marks are escaped.
    local status = STATUS_AFTER[string.match(event, '"type":"job_(%a+)"') or '']
    if status and not statuses[status] then return false end
    if status and string.match(event, '"at":"([^"]+)"') <= began then return true end
  end
  return false
end

local function has_words(text, words)
  local lower = string.lower(text or '')
  for _, word in ipairs(words) do
    if not string.find(lower, string.lower(word), 1, true) then return false end
  end
  return true
end

local function has_tag(tags, tag)
  for _, word in ipairs(decoded(tags)) do
    if word == tag then return true end
  end
  return false
end

-- Check the conditions that do not change while a job waits and runs.
local function is_of(job, filter)
  return (not filter.job_type or job.type == filter.job_type) and (not filter.tag or has_tag(job.tags, filter.tag))
end

-- Check the conditions that depend on how the job is now.
local function is_in_state(id, job, filter, began)
  if not (filter.status or filter.error_type or filter.words) then return true end
  if filter.status and job.status ~= filter.status then return false end
  if filter.error_type and job.error_type ~= filter.error_type then return false end
  if filter.words and not has_words(job.error, filter.words) then return false end
  return unchanged(id, began, { [job.status] = true })
end
