-- A step: one call of a script, with its arguments, its time, and what it has found out so far. The time is the broker's:
-- no worker's clock decides anything.

local ARGV, SECONDS, MICROS, NOW, now_text, positions, subscribed

local function begin(arguments)
  local time = redis.call('TIME')
  ARGV, SECONDS, MICROS = arguments, tonumber(time[1]), tonumber(time[2])
  NOW, now_text, positions, subscribed = SECONDS + MICROS / 1e6, nil, {}, {}
end

-- Lua's own way to print a number, %.14g, loses microseconds.
local function decimal(number) return string.format('%.6f', number) end
local function whole(number) return string.format('%.0f', number) end

-- Return the date of a day, which is counted from 1970-01-01. It is computed with the civil calendar's cycle of 400 years,
-- once for each day: the functions keep it from call to call.
local known_day, known_date
local function date(day)
  if day == known_day then return known_date end
  local z = day + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  known_day = day
  known_date = string.format('%04d-%02d-%02d', year, month, doy - math.floor((153 * mp + 2) / 5) + 1)
  return known_date
end

-- Write seconds since 1970 as RQ writes a time (rq/utils.py 2.12.0, _TIMESTAMP_FORMAT).
local function iso(seconds)
  local day = math.floor(seconds / 86400)
  local clock = seconds - day * 86400
  local second = math.floor(clock)
  local micros = math.min(999999, math.floor((clock - second) * 1e6 + 0.5))
  return string.format('%sT%02d:%02d:%02d.%06dZ', date(day), math.floor(second / 3600), math.floor(second / 60) % 60,
    second % 60, micros)
end

-- The time as text, made when a step first needs it.
local function now_iso()
  now_text = now_text or iso(NOW)
  return now_text
end
