-- Returns tombstones and their versions. Arguments: where to begin, how many.
--#include gate
local answer = {"ok"}
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[3], take(), "+", "LIMIT", 0, tonumber(take()))) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call("HGET", KEYS[4], id)
end
return answer
