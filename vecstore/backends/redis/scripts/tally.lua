-- Counts the values of an attribute in the records of the next ids.
-- Arguments: where to begin, how many ids to look at, a filter program, the attribute.
-- Returns the last id that it looked at, empty at the end, and each value with its number of records.
--#include gate
--#include matching
local after, limit, steps, name = take(), tonumber(take()), take_list(), take()
local ids = redis.call("ZRANGEBYLEX", KEYS[2], after, "+", "LIMIT", 0, limit)
local counts, answer = {}, {"ok", ids[#ids] or ""}
for _, id in ipairs(filter_ids(ids, steps)) do
  local value = redis.call("HGET", prefix .. id, name)
  if value then counts[value] = (counts[value] or 0) + 1 end
end
for value, count in pairs(counts) do
  answer[#answer + 1] = value
  answer[#answer + 1] = count
end
return answer
