-- Write the reports of a running attempt. ARGV: job, execution, progress or '', checkpoint or '',
-- positions of loops or '', log lines to keep, log lines.
-- Returns 0 if this execution no longer holds the job; then nothing was written.
-- Requires: history.
local id, execution = ARGV[1], ARGV[2]
local job = load_job(id)
local key = job.key
if job.execution ~= execution then return 0 end
if ARGV[3] ~= '' then
  -- RQ's tools look for progress in RQ's meta. An ETA counts from the time of its report.
  local progress = cjson.decode(ARGV[3])
  progress.reported_at = NOW
  local meta = cjson.encode(progress)
  progress.reported_at = nil
  progress.status = 'running'
  emit(job, 'job_progress', progress, { 'meta', meta })
end
if ARGV[4] ~= '' then redis.call('SET', checkpoint_key(id), ARGV[4]) end
if ARGV[5] ~= '' then redis.call('HSET', key, 'positions', ARGV[5]) end
local keep_lines = tonumber(ARGV[6])
for position = 7, #ARGV do redis.call('RPUSH', logs_key(id), ARGV[position]) end
if #ARGV >= 7 then
  redis.call('HINCRBY', key, 'logged', #ARGV - 6)
  redis.call('LTRIM', logs_key(id), -keep_lines, -1)
end
return 1
