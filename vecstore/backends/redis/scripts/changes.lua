-- Removes settled entries from the change list, then returns the first entries.
-- Arguments: pairs of sequence number and id, how many to return.
--#include gate
local settled, limit = take_list(2), tonumber(take())
for i = 1, #settled, 2 do
  local seq = redis.call("ZSCORE", KEYS[5], settled[i + 1])
  if seq and tonumber(seq) == tonumber(settled[i]) then redis.call("ZREM", KEYS[5], settled[i + 1]) end
end
local answer = {"ok"}
for _, each in ipairs(redis.call("ZRANGE", KEYS[5], 0, limit - 1, "WITHSCORES")) do answer[#answer + 1] = each end
return answer
