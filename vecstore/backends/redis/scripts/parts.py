"""Pieces of the scripts about the records of one generation.

Keys: 1 the generation's hash, 2 its ids, 3 and 4 its tombstones' ids and versions, 5 its change list, 6 the lease of a
switch. Arguments: 1 the prefix of records, 2 ``0`` for the active generation or ``1`` for a standby, 3 the index that
the caller takes for the present one or nothing, then what each script says. Answers begin with a word: ``ok``, ``gone``
(the generation has another role), ``moved`` (it has another index), ``locked`` (with the token of the switch), ``many``
(more matches than one step should change), ``again``, ``taken`` (with ids), ``failed`` (with what a search said).
"""

from __future__ import annotations

GATE = """
local known = redis.call("HMGET", KEYS[1], "role", "noting", "index")
if not known[1] or (known[1] == "active") ~= (ARGV[2] == "0") then return {"gone"} end
if ARGV[3] ~= "" and known[3] ~= ARGV[3] then return {"moved"} end
local prefix, at = ARGV[1], 4
local function take() at = at + 1 return ARGV[at - 1] end
local function listed(width)
  local count, found = tonumber(take()), {}
  for i = 1, count * (width or 1) do found[i] = take() end
  return found
end
"""

# What a script did before a command that the user may not use stays done: so each is asked for first.
WRITE_GATE = """
for _, each in ipairs(redis.acl_check_cmd and {
  {"DEL", prefix}, {"HSET", prefix, "a", "a"}, {"HDEL", prefix, "a"}, {"HSET", KEYS[1], "a", "a"},
  {"ZADD", KEYS[2], "0", "a"}, {"ZREM", KEYS[2], "a"},
} or {}) do
  if not redis.acl_check_cmd(unpack(each)) then return {"failed", "NOPERM " .. each[1]} end
end
if known[1] == "active" then
  local holder = redis.call("GET", KEYS[6])
  if holder then return {"locked", holder} end
end
-- What somebody else put in the place of a record is no record, and no reason to break off in the middle.
local function attribute(key, name)
  local found = redis.pcall("HGET", key, name)
  return type(found) ~= "table" and found
end
local seq
local function note(id)
  if not known[2] then return end
  seq = (seq or tonumber(redis.call("HGET", KEYS[1], "seq") or "0")) + 1
  redis.call("ZADD", KEYS[5], seq, id)
end
local function done(count)
  if seq then redis.call("HSET", KEYS[1], "seq", string.format("%.0f", seq)) end
  return {"ok", count, redis.call("ZCARD", KEYS[2])}
end
"""

# unpack() takes some thousand values at most.
EXISTING = """
local function existing(ids)
  local found = {}
  for from = 1, #ids, 1000 do
    local scores = redis.call("ZMSCORE", KEYS[2], unpack(ids, from, math.min(from + 999, #ids)))
    for i = 1, #scores do found[from + i - 1] = scores[i] ~= false end
  end
  return found
end
"""

# In a script, the names in a reply of the query engine are simple strings, and those are tables.
FOUND = """
local function member(reply, name)
  for key, value in pairs(reply.map) do
    if key == name or (type(key) == "table" and key.ok == name) then return value end
  end
end
local function found_by(queries, most, timeout)
  local ids, seen = {}, {}
  for _, query in ipairs(queries) do
    redis.setresp(3)
    local answer = redis.pcall(
      "FT.SEARCH", known[3], query, "NOCONTENT", "LIMIT", "0", most, "TIMEOUT", timeout, "DIALECT", "2"
    )
    redis.setresp(2)
    if answer.err then return nil, {"failed", answer.err} end
    local warning = (member(answer, "warning") or {})[1]
    if warning then return nil, {"failed", type(warning) == "table" and warning.ok or warning} end
    local results = member(answer, "results")
    if member(answer, "total_results") > #results then return nil, {"many"} end
    for _, each in ipairs(results) do
      local id = string.sub(member(each, "id"), #prefix + 1)
      if not seen[id] then
        seen[id] = true
        ids[#ids + 1] = id
      end
    end
  end
  return ids
end
"""

# Every predicate is false on a missing value. A list of tags has its first one for itself, see `tokens`.
MATCHING = """
local TESTS = {
  eq = function(a, b) return a == b end,
  lt = function(a, b) return a < b end,
  lte = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end,
  gte = function(a, b) return a >= b end,
}
local function matching(ids, words)
  local names, columns = {}, {}
  local function column(name)
    if not columns[name] then
      names[#names + 1] = name
      columns[name] = #names
    end
    return columns[name]
  end
  local steps, i = {}, 1
  while i <= #words do
    local kind = words[i]
    if kind == "tags" or kind == "numbers" then
      local count, values = tonumber(words[i + 3]), {}
      for each = 1, count do
        local value = words[i + 3 + each]
        values[each] = kind == "numbers" and tonumber(value) or value
      end
      steps[#steps + 1] = {kind, column(words[i + 1]), words[i + 2], values}
      i = i + 4 + count
    elseif kind == "not" then
      steps[#steps + 1] = {kind}
      i = i + 1
    else
      steps[#steps + 1] = {kind, tonumber(words[i + 1])}
      i = i + 2
    end
  end
  local function has_tags(value, how, wanted)
    if not value then return false end
    local there = {}
    for each in string.gmatch(value, "[^,]+") do there[each] = true end
    local hits = 0
    for _, each in ipairs(wanted) do if there[each] then hits = hits + 1 end end
    return how == "any" and hits > 0 or how == "all" and hits == #wanted and hits > 0
  end
  local function has_number(value, how, wanted)
    if not value then return false end
    local number, test = tonumber(value), TESTS[how]
    for _, each in ipairs(wanted) do if test(number, each) then return true end end
    return false
  end
  local found = {}
  for _, id in ipairs(ids) do
    local values = #names > 0 and redis.call("HMGET", prefix .. id, unpack(names)) or {}
    local stack, top = {}, 0
    for _, step in ipairs(steps) do
      local kind = step[1]
      if kind == "tags" or kind == "numbers" then
        top = top + 1
        stack[top] = (kind == "tags" and has_tags or has_number)(values[step[2]], step[3], step[4])
      elseif kind == "not" then
        stack[top] = not stack[top]
      else
        local is_and, result = kind == "and", kind == "and"
        for each = top - step[2] + 1, top do
          if is_and then result = result and stack[each] else result = result or stack[each] end
        end
        top = top - step[2] + 1
        stack[top] = result
      end
    end
    if stack[1] then found[#found + 1] = id end
  end
  return found
end
"""

SELECTED = f"""{EXISTING}{FOUND}{MATCHING}
local queries, steps, most, timeout, ids = listed(), listed(), tonumber(take()), take(), listed()
local selected = {{}}
if #queries > 0 then
  local found, why = found_by(queries, most, timeout)
  if not found then return why end
  if #found > most then return {{"many"}} end
  selected = found
else
  local there = existing(ids)
  for i = 1, #ids do if there[i] then selected[#selected + 1] = ids[i] end end
  if #steps > 0 then selected = matching(selected, steps) end
end
"""
"""Arguments: queries, a program, how many matches at most, milliseconds, ids. Queries select what they find; otherwise
it is the ids, or those of them that the program says yes to."""
