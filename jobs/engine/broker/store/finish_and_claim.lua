-- End an execution, and claim the next job for its worker.
-- ARGV: job, execution, worker, outcome (OUTCOME in finishing.lua); next execution, lease, running jobs that a user may
-- have, queues in order. Returns the replies of both steps.
-- Requires: finishing, claiming.
local FIRST = 4 + #OUTCOME
local execution, lease, user_limit = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2]
local worker = load_worker(ARGV[3])
local before = claimed_before(worker, execution)
if before then return { 'lost', before } end
local ended = finish(ARGV[1], ARGV[2], worker, read_outcome(4))
-- A claim that fails must not hide that the job has ended: the worker claims by itself then, and gets the error.
local done, answer = pcall(claim, worker, execution, lease, user_limit, FIRST + 3)
save_worker(worker)
return { ended, done and answer or { 'again' } }
