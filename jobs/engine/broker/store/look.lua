-- Read one job for a request. ARGV: the request's admission, job. Returns the result of `admit`, and the job.
-- It writes only that the request came, and that may fail. So its source has no first line by which a full broker would
-- refuse it.
-- Requires: admit, record.
local early = admit(ARGV[1])
return { early, early >= 0 and read_job(ARGV[2]) }
