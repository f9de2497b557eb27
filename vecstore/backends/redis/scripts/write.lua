-- Writes whole records.
-- Arguments: `insert`, `upsert`, `fence` or `group`; ids; fences for `fence`; for `group` the heads of groups, their
-- fences, and the number of its group for each id; then parts of rows that have the same attributes:
-- names, the number of rows, and the values of one row after the other, in the order of the ids.
--#include gate
--#include write_gate
--#include existing
local mode = take()
local ids = take_list()
local exists = find_existing(ids)
if mode == "insert" then
  local taken = {"taken"}
  for i = 1, #ids do if exists[i] then taken[#taken + 1] = ids[i] end end
  if #taken > 1 then return taken end
end
for i = 1, #ids do
  if not exists[i] and redis.call("EXISTS", prefix .. ids[i]) == 1 then
    return {"failed", "WRONGTYPE a key that is no record"}
  end
end
local fences = mode == "fence" and take_list()
local has_tombstones = redis.call("EXISTS", KEYS[4]) == 1
--#include groups
local number, written, fresh = 0, 0, {}
while number < #ids do
  local names, rows, words = take_list(), tonumber(take()), {}
  local width = #names
  for column = 1, width do words[2 * column - 1] = names[column] end
  words[2 * width + 1] = "version"
  for _ = 1, rows do
    number = number + 1
    local id = ids[number]
    local key, version, is_held = prefix .. id, false, false
    if exists[number] then
      version = get_attribute(key, "version")
    elseif has_tombstones then
      version = redis.call("HGET", KEYS[4], id)
    end
    if fences then
      local fence = fences[number]
      is_held = version and tonumber(version) > tonumber(fence)
      version = fence ~= "0" and fence
    elseif groups then
      local fence = passed[groups[number]]
      is_held = not fence
      version = fence and choose_newest(version, fence)
    end
    if not is_held then
      for column = 1, width do words[2 * column] = ARGV[at + column - 1] end
      words[2 * width + 2] = version or nil
      if exists[number] then
        redis.call("DEL", key)
      else
        fresh[#fresh + 1] = "0"
        fresh[#fresh + 1] = id
      end
      redis.call("HSET", key, unpack(words, 1, 2 * width + (version and 2 or 0)))
      if has_tombstones and redis.call("HDEL", KEYS[4], id) == 1 then redis.call("ZREM", KEYS[3], id) end
      note(id)
      written = written + 1
    end
    at = at + width
  end
end
for from = 1, #fresh, 2000 do redis.call("ZADD", KEYS[2], unpack(fresh, from, math.min(from + 1999, #fresh))) end
drop_members()
return finish(written)
