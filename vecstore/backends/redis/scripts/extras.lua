-- Returns the undeclared metadata of the selected records.
--#include gate
--#include selection
local answer = {"ok"}
for _, id in ipairs(selected) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call("HGET", prefix .. id, "extra") or "{}"
end
return answer
