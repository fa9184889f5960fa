-- Read one job for a request. ARGV: its admission, the job's id. Answers what `admit` does, and the job.
-- Only that it was asked is written, and that may fail: so it has no first line that would refuse it whole.
local early = admit(ARGV[1])
return { early, early >= 0 and read_job(ARGV[2]) }
