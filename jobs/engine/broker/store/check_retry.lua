-- Look if a job can run again, and change nothing. ARGV: job. Returns the reply of retry.lua, whatever limit applies.
-- Requires: retries.
return retry_refusal(load_job(ARGV[1])) or { 'pending' }
