-- List a user's jobs, newest first. ARGV: user, highest and lowest score, the id to continue after at the highest score or
-- '', how many jobs, job type or '', tag or '', how many records to read, statuses (comma-separated).
-- Returns the ids that match, and the score and id of the last record that was read if there may be more.
-- Requires: malformed, jobs.
local user, highest, lowest, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, kind, tag, look = tonumber(ARGV[5]), ARGV[6], ARGV[7], tonumber(ARGV[8])
if kind == '' and tag == '' then look = limit end

local entries = {}
for status in string.gmatch(ARGV[9], '[^,]+') do
  local rows = readable('ZREVRANGEBYSCORE', index_key(user, status), highest, lowest, 'WITHSCORES', 'LIMIT', 0, look + 2) or {}
  for row = 1, #rows, 2 do
    if not (after ~= '' and rows[row + 1] == highest and rows[row] >= after) then
      entries[#entries + 1] = { rows[row], rows[row + 1] }
    end
  end
end
table.sort(entries, function(a, b)
  local x, y = tonumber(a[2]), tonumber(b[2])
  if x ~= y then return x > y end
  return a[1] > b[1]
end)

local ids, last = {}, 0
for position, entry in ipairs(entries) do
  if #ids >= limit or position > look then break end
  last = position
  local job = readable('HMGET', job_key(entry[1]), 'type', 'tags', 'status') or {}
  local wanted = job[3] and (kind == '' or job[1] == kind)
  if wanted and tag ~= '' then
    wanted = false
    for _, word in ipairs(decoded(job[2])) do wanted = wanted or word == tag end
  end
  if wanted then ids[#ids + 1] = entry[1] end
end
if last < #entries and last > 0 then return { ids, entries[last][2], entries[last][1] } end
return { ids }
