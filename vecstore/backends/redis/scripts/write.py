"""What changes the records of one generation, each method one script; see `script_parts`."""

from __future__ import annotations

from .parts import EXISTING, GATE, SELECTED, WRITE_GATE
from .script import Script

WRITE = Script(
    f"""{GATE}{WRITE_GATE}{EXISTING}
local mode = take()
local ids = listed()
local there = existing(ids)
if mode == "insert" then
  local taken = {{"taken"}}
  for i = 1, #ids do if there[i] then taken[#taken + 1] = ids[i] end end
  if #taken > 1 then return taken end
end
for i = 1, #ids do
  if not there[i] and redis.call("EXISTS", prefix .. ids[i]) == 1 then
    return {{"failed", "WRONGTYPE a key that is no record"}}
  end
end
local fences = mode == "fence" and listed()
local buried = redis.call("EXISTS", KEYS[4]) == 1
local number, written, fresh = 0, 0, {{}}
while number < #ids do
  local names, rows, words = listed(), tonumber(take()), {{}}
  local width = #names
  for column = 1, width do words[2 * column - 1] = names[column] end
  words[2 * width + 1] = "version"
  for _ = 1, rows do
    number = number + 1
    local id = ids[number]
    local key, version, held = prefix .. id, false, false
    if there[number] then
      version = attribute(key, "version")
    elseif buried then
      version = redis.call("HGET", KEYS[4], id)
    end
    if fences then
      local fence = fences[number]
      held = version and tonumber(version) > tonumber(fence)
      version = fence ~= "0" and fence
    end
    if not held then
      for column = 1, width do words[2 * column] = ARGV[at + column - 1] end
      words[2 * width + 2] = version or nil
      if there[number] then
        redis.call("DEL", key)
      else
        fresh[#fresh + 1] = "0"
        fresh[#fresh + 1] = id
      end
      redis.call("HSET", key, unpack(words, 1, 2 * width + (version and 2 or 0)))
      if buried and redis.call("HDEL", KEYS[4], id) == 1 then redis.call("ZREM", KEYS[3], id) end
      note(id)
      written = written + 1
    end
    at = at + width
  end
end
for from = 1, #fresh, 2000 do redis.call("ZADD", KEYS[2], unpack(fresh, from, math.min(from + 1999, #fresh))) end
return done(written)
""",
    writes=True,
)
"""Arguments: ``insert``, ``upsert`` or ``fence``; ids; fences where there are any; then groups of rows that have the
same attributes: names, the number of rows, and the values of one row after the other, in the order of the ids."""

UPDATE = Script(
    f"""{GATE}{WRITE_GATE}{SELECTED}
local sets, unsets, gained, lost, laid = listed(2), listed(), listed(), listed(), take()
local before, after = {{}}, {{}}
if laid == "extras" then
  local pairs_ = listed(3)
  for i = 1, #pairs_, 3 do before[pairs_[i]], after[pairs_[i]] = pairs_[i + 1], pairs_[i + 2] end
  for _, id in ipairs(selected) do
    if (redis.call("HGET", prefix .. id, "extra") or "{{}}") ~= before[id] then return {{"again"}} end
  end
end
local has_of = {{}}
for _, id in ipairs(selected) do
  has_of[id] = attribute(prefix .. id, "has")
  if not has_of[id] then return {{"failed", "WRONGTYPE a key that is no record"}} end
end
local touched = {{}}
for _, each in ipairs(gained) do touched[each] = true end
for _, each in ipairs(lost) do touched[each] = true end
for _, id in ipairs(selected) do
  local key, words = prefix .. id, {{}}
  for i = 1, #sets do words[i] = sets[i] end
  if next(touched) then
    local has = {{}}
    for each in string.gmatch(has_of[id], "[^,]+") do
      if not touched[each] then has[#has + 1] = each end
    end
    for _, each in ipairs(gained) do has[#has + 1] = each end
    words[#words + 1] = "has"
    words[#words + 1] = table.concat(has, ",")
  end
  if after[id] == "{{}}" then
    redis.call("HDEL", key, "extra")
  elseif after[id] then
    words[#words + 1] = "extra"
    words[#words + 1] = after[id]
  end
  if #unsets > 0 then redis.call("HDEL", key, unpack(unsets)) end
  if #words > 0 then redis.call("HSET", key, unpack(words)) end
  note(id)
end
local answer, is_indexed = done(#selected), next(touched) ~= nil
for i = 1, #sets, 2 do is_indexed = is_indexed or sets[i] ~= "text" end
if is_indexed then
  for _, id in ipairs(selected) do answer[#answer + 1] = id end
end
return answer
""",
    writes=True,
)
"""Arguments after the selection: attributes to set with their values, to unset, tokens gained and lost, and ``extras``
with triples of id, present and new undeclared metadata, or anything else."""

DELETE = Script(
    f"""{GATE}{WRITE_GATE}{SELECTED}
local fences, fence_of = listed(), {{}}
for i = 1, #fences do fence_of[ids[i]] = fences[i] end
local function bury(id, version)
  redis.call("HSET", KEYS[4], id, version)
  redis.call("ZADD", KEYS[3], 0, id)
end
local removed = 0
for _, id in ipairs(selected) do
  local key, fence = prefix .. id, fence_of[id]
  local version = attribute(key, "version")
  if not (fence and version and tonumber(version) > tonumber(fence)) then
    redis.call("DEL", key)
    redis.call("ZREM", KEYS[2], id)
    if version then bury(id, version) end
    note(id)
    removed = removed + 1
  end
end
for i = 1, #fences do
  local id, fence = ids[i], fences[i]
  local version = attribute(prefix .. id, "version") or redis.call("HGET", KEYS[4], id) or "0"
  if fence ~= "0" and tonumber(version) <= tonumber(fence) then bury(id, fence) end
end
return done(removed)
""",
    writes=True,
)
"""Arguments after the selection: fences, one for each id, or none."""

CHANGES = Script(
    f"""{GATE}
local settled, limit = listed(2), tonumber(take())
for i = 1, #settled, 2 do
  local seq = redis.call("ZSCORE", KEYS[5], settled[i + 1])
  if seq and tonumber(seq) == tonumber(settled[i]) then redis.call("ZREM", KEYS[5], settled[i + 1]) end
end
local answer = {{"ok"}}
for _, each in ipairs(redis.call("ZRANGE", KEYS[5], 0, limit - 1, "WITHSCORES")) do answer[#answer + 1] = each end
return answer
""",
    writes=True,
)
