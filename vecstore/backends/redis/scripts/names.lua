-- Returns the names of all stores but those that are still incoming.
--#include entry
local answer = {"ok"}
for _, name in ipairs(redis.call("HKEYS", KEYS[1])) do
  local uid = redis.call("HGET", KEYS[1], name)
  if not redis.call("HGET", stores .. uid, "incoming") then answer[#answer + 1] = name end
end
return answer
