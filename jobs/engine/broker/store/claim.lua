-- Take the head of the first non-empty queue and record who holds it (claiming.lua).
-- ARGV: worker, execution, lease, running jobs that a user may have (0: any number), queues in order.
-- Requires: claiming.
local worker = load_worker(ARGV[1])
local before = claimed_before(worker, ARGV[2])
if before then return before end
local answer = claim(worker, ARGV[2], ARGV[3], ARGV[4], 5)
save_worker(worker)
return answer
