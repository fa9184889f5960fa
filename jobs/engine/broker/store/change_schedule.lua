-- Change a schedule. ARGV: id; the revision that the change is based on; the new record; the pause, or '' for none; the next
-- tick, or '' to keep it; '1' if a tick may wait for a job to end, or ''. Returns a verdict (verdicts.py).
-- Requires: schedules.
local id = ARGV[1]
local key = schedule_key(id)
if redis.call('EXISTS', key) == 0 then return 'missing' end
if (redis.call('HGET', key, 'revision') or '0') ~= ARGV[2] then return 'stale' end
redis.call('HSET', key, 'record', ARGV[3])
redis.call('HINCRBY', key, 'revision', 1)
if ARGV[4] == '' then redis.call('HDEL', key, 'paused') else redis.call('HSET', key, 'paused', ARGV[4]) end
if ARGV[5] ~= '' then redis.call('ZADD', 'wh:schedules', ARGV[5], id) end
if ARGV[6] == '' then
  local due = take_waiting_tick(id)
  if due then record_run(id, due, 'skipped') end
end
return 'changed'
