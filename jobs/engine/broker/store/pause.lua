-- Pause a queue or a job type. ARGV: `queue:<queue>` or `type:<job type>`; the pause as JSON.
-- Requires: control.
redis.call('HSET', CONTROL, ARGV[1], ARGV[2])
return 1
