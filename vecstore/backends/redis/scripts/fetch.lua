-- Returns records by id. Arguments: names of attributes, ids.
--#include gate
--#include rows
for _, id in ipairs(take_list()) do add(id) end
return answer
