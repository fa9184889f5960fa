-- Dependencies: jobs that wait for other jobs.
-- Requires: times, jobs.

-- Return the state of a job's dependencies: 'met', 'waiting', or 'failed' with the job that failed and its status.
-- A dependency that has expired had completed: its failure would have ended the jobs that waited for it.
local function dependencies(ids)
  local state = 'met'
  for _, id in ipairs(ids) do
    local status = STATUS[redis.call('HGET', job_key(id), 'status') or 'finished']
    if status == 'failed' or status == 'cancelled' then return 'failed', id, status end
    if status ~= 'completed' then state = 'waiting' end
  end
  return state
end

-- Let a job wait for its dependencies, and return what changes in its record. The script that ends the last of them makes
-- it ready.
local function await(id, queue, ids)
  for _, dependency in ipairs(ids) do
    local status = STATUS[redis.call('HGET', job_key(dependency), 'status') or 'finished']
    if status == 'pending' or status == 'running' then redis.call('SADD', dependents_key(dependency), id) end
  end
  redis.call('SADD', 'rq:queues', queue_key(queue))
  redis.call('ZADD', 'rq:deferred:' .. queue, whole(NOW), id)
  return { 'status', 'deferred', 'reason', 'waiting' }
end
