-- Returns records in the order of their ids. Arguments: names of attributes, where to begin, how many.
--#include gate
--#include rows
local after, limit = take(), tonumber(take())
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[2], after, "+", "LIMIT", 0, limit)) do add(id) end
return answer
