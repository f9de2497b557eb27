-- Returns the selected ids.
--#include gate
--#include selection
table.insert(selected, 1, "ok")
return selected
