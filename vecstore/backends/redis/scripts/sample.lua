-- Returns records that are spread evenly over the ids. Arguments: names of attributes, how many.
--#include gate
--#include rows
local size, count = tonumber(take()), redis.call("ZCARD", KEYS[2])
for number = 0, math.min(size, count) - 1 do
  local place = count <= size and number or math.floor(number * count / size)
  add(redis.call("ZRANGE", KEYS[2], place, place)[1])
end
return answer
