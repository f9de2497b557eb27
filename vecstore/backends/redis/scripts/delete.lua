-- Removes the selected records. Arguments: a selection, and one fence for each id or none.
--#include gate
--#include write_gate
--#include selection
local fences, fence_of = take_list(), {}
for i = 1, #fences do fence_of[ids[i]] = fences[i] end
local function add_tombstone(id, version)
  redis.call("HSET", KEYS[4], id, version)
  redis.call("ZADD", KEYS[3], 0, id)
end
local removed = 0
for _, id in ipairs(selected) do
  local key, fence = prefix .. id, fence_of[id]
  local version = get_attribute(key, "version")
  if not (fence and version and tonumber(version) > tonumber(fence)) then
    redis.call("DEL", key)
    redis.call("ZREM", KEYS[2], id)
    if version then add_tombstone(id, version) end
    note(id)
    removed = removed + 1
  end
end
for i = 1, #fences do
  local id, fence = ids[i], fences[i]
  local version = get_attribute(prefix .. id, "version") or redis.call("HGET", KEYS[4], id) or "0"
  if fence ~= "0" and tonumber(version) <= tonumber(fence) then add_tombstone(id, fence) end
end
return finish(removed)
