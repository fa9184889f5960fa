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

-- Write seconds since 1970 as RQ writes a time (rq/utils.py 2.12.0, _TIMESTAMP_FORMAT). The date is computed from the
-- number of days with the civil calendar's cycle of 400 years.
local function iso(seconds)
  local day = math.floor(seconds / 86400)
  local rest = seconds - day * 86400
  local z = day + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  local clock = math.floor(rest)
  local micros = math.floor((rest - clock) * 1e6 + 0.5)
  if micros > 999999 then micros = 999999 end
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month, doy - math.floor((153 * mp + 2) / 5) + 1,
    math.floor(clock / 3600), math.floor(clock / 60) % 60, clock % 60, micros)
end

-- The time as text, made when a step first needs it.
local function now_iso()
  now_text = now_text or iso(NOW)
  return now_text
end
