-- Returns the selected records. Arguments: names of attributes, a selection.
--#include gate
--#include rows
--#include selection
for _, id in ipairs(selected) do add(id) end
return answer
