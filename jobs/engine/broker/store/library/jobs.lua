-- The keys of a job, its record, and the words for its states: RQ's on the left, ours on the right.

local function job_key(id) return 'rq:job:' .. id end
local function events_key(id) return 'wh:events:' .. id end
local function logs_key(id) return 'wh:logs:' .. id end
local function checkpoint_key(id) return 'wh:checkpoint:' .. id end
local function results_key(id) return 'rq:results:' .. id end
local function dependents_key(id) return 'rq:job:' .. id .. ':dependents' end
local function queue_key(queue) return 'rq:queue:' .. queue end
local function doorbell_key(name) return 'wh:doorbell:' .. name end
-- It exists while a live worker serves the queue.
local function served_key(queue) return 'wh:served:' .. queue end
local function index_key(user, status) return 'wh:jobs:' .. user .. ':' .. status end

local STATUS = { created = 'pending', queued = 'pending', deferred = 'pending', scheduled = 'pending',
  started = 'running', finished = 'completed', failed = 'failed', stopped = 'failed', canceled = 'cancelled' }
local REGISTRY = { completed = 'rq:finished:', failed = 'rq:failed:', cancelled = 'rq:canceled:' }

-- The fields that the steps of a job's life read. A step reads them in one command and passes the record on, because each
-- command costs more than the fields do.
local FIELDS = { 'status', 'origin', 'user', 'version', 'type', 'webhook_url', 'execution', 'score', 'number', 'ready_at',
  'turn', 'attempt', 'resuming', 'slots', 'max_running', 'limited_by', 'references', 'worker_name', 'cancel', 'group', 'logged',
  'result_ttl', 'failure_ttl', 'unique', 'unique_until', 'start_by',
  'limits', 'called', 'removed', 'expires' }

-- Append to a list.
local function append(list, ...)
  local length = #list
  for place, value in ipairs({ ... }) do list[length + place] = value end
end

-- Read the record of a job. A field that it lacks is false. All are false if there is no such job, and `version` is if the
-- job is one of plain RQ.
local function load_job(id)
  local key = job_key(id)
  local values = redis.call('HMGET', key, unpack(FIELDS))
  local job = { id = id, key = key }
  for place = 1, #FIELDS do job[FIELDS[place]] = values[place] end
  return job
end
