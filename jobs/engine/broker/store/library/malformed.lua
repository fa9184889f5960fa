-- Reads of what something else may have written.

-- Run a command that reads. Returns nil if the key is of another type.
local function readable(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then return nil end
  return answer
end

-- Decode JSON. Returns {} if it is malformed or is not an array or an object.
local function decoded(text)
  local good, value = pcall(cjson.decode, text or '[]')
  return good and type(value) == 'table' and value or {}
end
