-- Record in the audit log how a bulk action ended, once for each way. ARGV: the bulk action's job, completed or stopped,
-- entries to keep, the entry's fields. Returns 1 if it was recorded now.
-- Requires: bulk.
local state = bulk_key(ARGV[1])
if redis.call('EXISTS', state) == 0 or redis.call('HSETNX', state, ARGV[2], now_iso()) == 0 then return 0 end
redis.call('XADD', 'wh:audit', 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
return 1
