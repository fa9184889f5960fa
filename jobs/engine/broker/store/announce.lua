-- Note in a worker's record what it can do and which queues it serves, and that someone serves them.
-- ARGV: worker, what it can do, its queues, both comma-separated; for how many seconds. Returns the names of all queues.
-- Requires: queues.
local key = 'rq:worker:' .. ARGV[1]
-- A record that has expired must not come back without an end.
local known = redis.call('HEXISTS', key, 'birth') == 1
if known then redis.call('HSET', key, 'can', ARGV[2], 'queues', ARGV[3]) end
for queue in string.gmatch(ARGV[3], '[^,]+') do
  if known then redis.call('SADD', 'rq:workers:' .. queue, key) end
  redis.call('SET', served_key(queue), 1, 'EX', ARGV[4])
end
return queue_names()
