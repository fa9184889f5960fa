-- Read jobs. ARGV: ids. Jobs that do not exist are left out.
-- Requires: record.
local found = {}
for _, id in ipairs(ARGV) do
  local job = read_job(id)
  if job then found[#found + 1] = job end
end
return found
