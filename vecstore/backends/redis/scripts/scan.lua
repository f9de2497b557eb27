-- Looks for matches among the next ids. Arguments: where to begin, how many ids to look at, a filter program.
-- Returns the last id that it looked at, empty at the end, and the matching ids.
--#include gate
--#include matching
local after, limit, steps = take(), tonumber(take()), take_list()
local ids = redis.call("ZRANGEBYLEX", KEYS[2], after, "+", "LIMIT", 0, limit)
local answer = filter_ids(ids, steps)
table.insert(answer, 1, ids[#ids] or "")
table.insert(answer, 1, "ok")
return answer
