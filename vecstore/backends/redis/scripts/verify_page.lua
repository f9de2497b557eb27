-- Like page.lua, but also returns ids that are listed and have no record.
--#include gate
local names, answer = take_list(), {"ok"}
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[2], take(), "+", "LIMIT", 0, tonumber(take()))) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call("HMGET", prefix .. id, unpack(names))
end
return answer
