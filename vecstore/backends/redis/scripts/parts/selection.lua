-- Sets `selected` to the ids that the caller selects.
-- Arguments: queries, a filter program, how many matches at most, milliseconds, ids. Queries select what they match.
-- Without queries it is the ids that exist, or those of them that the program matches.
--#include existing
--#include search
--#include matching
local queries, steps, most, timeout, ids = take_list(), take_list(), tonumber(take()), take(), take_list()
local selected = {}
if #queries > 0 then
  local found, why = search_ids(queries, most, timeout)
  if not found then return why end
  if #found > most then return {"many"} end
  selected = found
else
  local exists = find_existing(ids)
  for i = 1, #ids do if exists[i] then selected[#selected + 1] = ids[i] end end
  if #steps > 0 then selected = filter_ids(selected, steps) end
end
