-- Cancel a job. ARGV: job.
return cancel_job(ARGV[1])
