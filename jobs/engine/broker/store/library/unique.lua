-- Unique jobs. A key names the one job that has it. It counts only while that job is waiting or running, so a release that
-- never happened can't keep a key. It does not count once the job has missed its deadline.
-- Requires: malformed, jobs.

local function unique_key(unique) return 'wh:unique:' .. unique end

-- Return the job that has a key, and 'started' if it has; nothing if the key is free.
local function holder(unique)
  local id = readable('GET', unique_key(unique))
  if not id then return end
  local job = redis.call('HMGET', job_key(id), 'unique', 'status', 'unique_until', 'attempt', 'start_by')
  local status = job[1] == unique and STATUS[job[2]]
  if status == 'pending' and not job[4] and NOW > (tonumber(job[5] or '') or NOW) then return end
  if status ~= 'pending' and (status ~= 'running' or job[3] == 'start') then return end
  return id, job[4] and 'started'
end

-- Give a job its key. With a time to live in milliseconds, the key is free after it in any case.
local function bind_unique(id, unique, ttl)
  redis.call('SET', unique_key(unique), id, unpack(ttl and { 'PX', ttl } or {}))
end

local function free_unique(id, unique)
  if readable('GET', unique_key(unique)) == id then redis.call('DEL', unique_key(unique)) end
end
