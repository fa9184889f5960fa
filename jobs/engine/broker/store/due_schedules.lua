-- Find the schedules that are due. ARGV: how many at most. Returns the time, and for each: id, tick, user, record.
local due = redis.call('ZRANGEBYSCORE', 'wh:schedules', '-inf', whole(NOW - 0.5), 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local found = {}
for place = 1, #due, 2 do
  local schedule = redis.call('HMGET', 'wh:schedule:' .. due[place], 'user', 'record')
  found[#found + 1] = { due[place], due[place + 1], schedule[1] or '', schedule[2] or '' }
end
return { decimal(NOW), found }
