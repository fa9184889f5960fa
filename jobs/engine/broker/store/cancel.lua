-- Cancel a job. ARGV: job. Returns a verdict (verdicts.py).
return cancel_job(ARGV[1])
