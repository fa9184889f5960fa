-- Cancel a job. ARGV: job. Returns a verdict (verdicts.py).
-- Requires: endings.
return cancel_job(ARGV[1])
