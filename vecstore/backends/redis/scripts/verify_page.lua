-- Like page.lua, but also returns ids that are listed and have no record.
--#include gate
local names, answer = take_list(), {"ok"}
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[2], take(), "+", "LIMIT", 0, tonumber(take()))) do
  answer[#answer + 1] = id
  -- A key of another type than a hash has no attributes.
  local is_hash = redis.call("TYPE", prefix .. id).ok == "hash"
  local values = is_hash and redis.call("HMGET", prefix .. id, unpack(names)) or {}
  for i = 1, #names do values[i] = values[i] or false end
  values[#names + 1] = redis.call("EXISTS", prefix .. id)
  values[#names + 2] = redis.call("PTTL", prefix .. id)
  answer[#answer + 1] = values
end
return answer
