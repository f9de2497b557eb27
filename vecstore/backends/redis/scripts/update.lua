-- Changes attributes of the selected records.
-- Arguments: a selection, attributes to set with their values, attributes to unset, tokens gained, tokens lost, and
-- `extras` with groups of id, present and new undeclared metadata, and its tokens, or an empty word.
--#include gate
--#include write_gate
--#include selection
local sets, unsets, gained, lost, mode = take_list(2), take_list(), take_list(), take_list(), take()
local before, after, keys = {}, {}, {}
if mode == "extras" then
  local extras = take_list(4)
  for i = 1, #extras, 4 do
    before[extras[i]], after[extras[i]], keys[extras[i]] = extras[i + 1], extras[i + 2], extras[i + 3]
  end
  for _, id in ipairs(selected) do
    if (redis.call("HGET", prefix .. id, "extra") or "{}") ~= before[id] then return {"again"} end
  end
end
local has_of = {}
for _, id in ipairs(selected) do
  has_of[id] = get_attribute(prefix .. id, "has")
  if not has_of[id] then return {"failed", "WRONGTYPE a key that is no record"} end
end
local touched = {}
for _, each in ipairs(gained) do touched[each] = true end
for _, each in ipairs(lost) do touched[each] = true end
for _, id in ipairs(selected) do
  local key, words = prefix .. id, {}
  for i = 1, #sets do words[i] = sets[i] end
  if next(touched) then
    local has = {}
    for each in string.gmatch(has_of[id], "[^,]+") do
      if not touched[each] then has[#has + 1] = each end
    end
    for _, each in ipairs(gained) do has[#has + 1] = each end
    words[#words + 1] = "has"
    words[#words + 1] = table.concat(has, ",")
  end
  if after[id] == "{}" then
    redis.call("HDEL", key, "extra")
  elseif after[id] then
    words[#words + 1] = "extra"
    words[#words + 1] = after[id]
  end
  if keys[id] == "" then
    redis.call("HDEL", key, "keys")
  elseif keys[id] then
    words[#words + 1] = "keys"
    words[#words + 1] = keys[id]
  end
  if #unsets > 0 then redis.call("HDEL", key, unpack(unsets)) end
  if #words > 0 then redis.call("HSET", key, unpack(words)) end
  note(id)
end
local answer, is_indexed = finish(#selected), next(touched) ~= nil or next(keys) ~= nil
for i = 1, #sets, 2 do is_indexed = is_indexed or sets[i] ~= "text" end
if is_indexed then
  for _, id in ipairs(selected) do answer[#answer + 1] = id end
end
return answer
