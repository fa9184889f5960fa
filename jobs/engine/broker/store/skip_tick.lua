-- Let a tick of a schedule start no job. ARGV: the tick; its outcome, or '' if it was missed; what the problem is, or ''.
-- Returns 1, or 0 if another process has decided on the tick.
-- Requires: schedules.
local run = cjson.decode(ARGV[1])
if not is_current(run) then return 0 end
record_tick(run, ARGV[2] ~= '' and ARGV[2] or nil)
if ARGV[3] ~= '' then redis.call('HSET', schedule_key(run.id), 'problem', ARGV[3]) end
return 1
