-- Run a failed or cancelled job again. ARGV: job, its owner's limit of unfinished jobs.
-- Returns a verdict (verdicts.py), and what it is about.
-- Requires: retries.
return retry_job(ARGV[1], tonumber(ARGV[2]))
