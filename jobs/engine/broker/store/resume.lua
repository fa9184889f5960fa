-- End the pause of a queue or a job type. ARGV: `queue:<queue>` or `type:<job type>`.
-- Requires: resuming.
end_pause(ARGV[1])
return 1
