-- The counts behind /metrics, `wh:metrics:<metric>` by label, written where things happen, so that a scrape computes
-- nothing. With seconds, a metric is a histogram: a count for each bound, and their sum.
-- Requires: times.

local BOUNDS = { 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200 }
local function measure(name, label, seconds)
  local key = 'wh:metrics:' .. name
  if not seconds then return redis.call('HINCRBY', key, label, 1) end
  local bound = 'inf'
  for _, each in ipairs(BOUNDS) do
    if seconds <= each then bound = tostring(each) break end
  end
  redis.call('HINCRBY', key, label .. '|' .. bound, 1)
  -- The sum is in whole microseconds: adding to a decimal number costs the broker three times as much.
  redis.call('HINCRBY', key, label .. '|micros', whole(math.max(seconds, 0) * 1e6))
end

-- Failures that Workhorse names itself. Any other failure is an exception of the function's.
local REASONS = { timeout = 1, stalled = 1, worker_lost = 1, memory_limit = 1, result_too_large = 1, result_invalid = 1 }
local function measure_event(job, kind, entry)
  if kind == 'job_progress' then return end
  local name = job.type or ''
  if kind == 'job_queued' then
    if entry.version == 1 then measure('jobs', name .. '|pending') end
  elseif kind == 'job_retrying' then
    measure('retried', name)
  elseif kind == 'job_resumed' then
    measure('resumed', name .. '|' .. (entry.reason or 'other'))
  else
    measure('jobs', name .. '|' .. entry.status)
    if kind == 'job_started' and job.ready_at then measure('wait', name, NOW - tonumber(job.ready_at)) end
    if kind == 'job_failed' then measure('failed', name .. '|' .. (REASONS[entry.error_type] and entry.error_type or 'error')) end
  end
end
