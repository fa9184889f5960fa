-- End an execution. ARGV: job, execution, worker or '', outcome (OUTCOME in finishing.lua).
-- Returns how the job ended or continues, or 'lost' if this execution no longer holds it; then nothing was written.
-- Requires: finishing.
local worker = ARGV[3] ~= '' and load_worker(ARGV[3])
local ended = finish(ARGV[1], ARGV[2], worker, read_outcome(4))
if worker then save_worker(worker) end
return ended
