-- Read jobs. ARGV: ids. Those that are gone are left out.
local found = {}
for _, id in ipairs(ARGV) do
  local job = read_job(id)
  if job then found[#found + 1] = job end
end
return found
