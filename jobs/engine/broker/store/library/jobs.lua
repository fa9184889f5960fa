-- The keys of a job, and the words for its states: RQ's on the left, ours on the right.

local function job_key(id) return 'rq:job:' .. id end
local function events_key(id) return 'wh:events:' .. id end
local function logs_key(id) return 'wh:logs:' .. id end
local function checkpoint_key(id) return 'wh:checkpoint:' .. id end
local function results_key(id) return 'rq:results:' .. id end
local function dependents_key(id) return 'rq:job:' .. id .. ':dependents' end
local function queue_key(queue) return 'rq:queue:' .. queue end
-- It exists while a live worker serves the queue.
local function served_key(queue) return 'wh:served:' .. queue end
local function index_key(user, status) return 'wh:jobs:' .. user .. ':' .. status end

local STATUS = { created = 'pending', queued = 'pending', deferred = 'pending', scheduled = 'pending',
  started = 'running', finished = 'completed', failed = 'failed', stopped = 'failed', canceled = 'cancelled' }
local REGISTRY = { completed = 'rq:finished:', failed = 'rq:failed:', cancelled = 'rq:canceled:' }
