"""Names, generations and roles, each change one script.

Keys: 1 the names, 2 the generations that are dropped. Arguments: 1 and 2 the prefixes of stores and of generations.
"""

from __future__ import annotations

from .script import Script

_HEAD = """
local stores, generations = ARGV[1], ARGV[2]
local function entry(uid)
  local store = redis.call("HMGET", stores .. uid, "name", "active", "standby", "role")
  if not store[1] then return {"absent"} end
  local answer = {"ok", uid, store[1], store[4] or ""}
  for _, id in ipairs({store[2], store[3]}) do
    if id then
      local known = redis.call("HMGET", generations .. id, "schema", "identity", "ef")
      answer[#answer + 1] = {id, known[1], known[2], known[3]}
    end
  end
  return answer
end
"""

FIND = Script(
    f"""{_HEAD}
local uid = ARGV[3]
if uid == "" then uid = redis.call("HGET", KEYS[1], ARGV[4]) end
if not uid then return {{"absent"}} end
return entry(uid)
"""
)
"""Arguments: a uid, or nothing and a name."""

CREATE = Script(
    f"""{_HEAD}
local uid, name, id, schema, identity, ef, standby = unpack(ARGV, 3, 9)
local owner = redis.call("HGET", KEYS[1], name)
if standby == "1" then
  if not owner then return {{"absent"}} end
  uid = owner
  if redis.call("HEXISTS", stores .. uid, "standby") == 1 then return {{"exists"}} end
elseif owner then
  return {{"exists"}}
end
if redis.acl_check_cmd and not redis.acl_check_cmd("HSET", generations .. id, "a", "a") then
  return redis.error_reply("NOPERM HSET")
end
local made = redis.pcall(unpack(ARGV, 10))
if made.err then return {{"refused", made.err}} end
local hash = generations .. id
local role = standby == "1" and "building" or "active"
redis.call("HSET", hash, "store", uid, "schema", schema, "role", role, "epoch", 0, "index", ARGV[11], "kind", "flat")
if identity ~= "" then redis.call("HSET", hash, "identity", identity) end
if ef ~= "" then redis.call("HSET", hash, "ef", ef) end
if standby == "1" then
  redis.call("HSET", stores .. uid, "standby", id, "role", role)
  redis.call("HSET", generations .. redis.call("HGET", stores .. uid, "active"), "noting", 1)
else
  redis.call("HSET", stores .. uid, "name", name, "active", id)
  redis.call("HSET", KEYS[1], name, uid)
  redis.call("SET", KEYS[3], "1")
end
return entry(uid)
""",
    writes=True,
)
"""Key 3: the number of the layout. Arguments: uid, name, the generation's id, schema, identity, ef, ``1`` for a
standby, and the words that make its index, the name of which is the second of them."""

RENAME = Script(
    f"""{_HEAD}
local uid, name = ARGV[3], ARGV[4]
local old = redis.call("HGET", stores .. uid, "name")
if not old then return {{"absent"}} end
if redis.call("HEXISTS", KEYS[1], name) == 1 then return {{"exists"}} end
redis.call("HDEL", KEYS[1], old)
redis.call("HSET", KEYS[1], name, uid)
redis.call("HSET", stores .. uid, "name", name)
return {{"ok"}}
""",
    writes=True,
)

AMEND = Script(
    f"""{_HEAD}
local hash = generations .. ARGV[3]
if redis.call("EXISTS", hash) == 0 then return {{"absent"}} end
redis.call("HSET", hash, "schema", ARGV[4])
for i, name in ipairs({{"identity", "ef"}}) do
  local value = ARGV[4 + i]
  if value == "" then redis.call("HDEL", hash, name) else redis.call("HSET", hash, name, value) end
end
return {{"ok"}}
""",
    writes=True,
)

DROP = Script(
    f"""{_HEAD}
local uid, id, changes = ARGV[3], ARGV[4], ARGV[5]
local store = redis.call("HMGET", stores .. uid, "name", "active", "standby")
if not store[1] then return {{"absent"}} end
local function doom(each)
  if not each then return end
  local known = redis.call("HMGET", generations .. each, "index", "next")
  for _, index in ipairs({{known[1] or "", known[2] or ""}}) do
    if index ~= "" then redis.pcall("FT.DROPINDEX", index) end
  end
  redis.call("DEL", generations .. each)
  redis.call("SADD", KEYS[2], each)
end
if id == "" then
  doom(store[2])
  doom(store[3])
  redis.call("HDEL", KEYS[1], store[1])
  redis.call("DEL", stores .. uid)
  return {{"ok"}}
end
if store[3] ~= id then return {{"absent", store[1]}} end
doom(id)
redis.call("HDEL", stores .. uid, "standby", "role")
redis.call("HDEL", generations .. store[2], "noting")
redis.call("DEL", changes .. store[2])
return {{"ok"}}
""",
    writes=True,
)
"""Arguments: uid, a standby generation's id or nothing, the prefix of change lists."""

SWITCH = Script(
    f"""{_HEAD}
local uid, id, changes, token = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local store = redis.call("HMGET", stores .. uid, "name", "active", "standby")
if not store[1] or store[3] ~= id then return {{"absent", store[1] or ""}} end
if redis.call("GET", KEYS[3]) ~= token then return {{"lost"}} end
redis.call("HSET", stores .. uid, "active", id, "standby", store[2], "role", "previous")
redis.call("HSET", generations .. id, "role", "active", "noting", 1)
redis.call("HSET", generations .. store[2], "role", "previous")
redis.call("HDEL", generations .. store[2], "noting")
for _, each in ipairs({{id, store[2]}}) do
  redis.call("HINCRBY", generations .. each, "epoch", 1)
  redis.call("DEL", changes .. each)
end
return entry(uid)
""",
    writes=True,
)
"""Key 3: the lease of the switch. Arguments: uid, the standby's id, the prefix of change lists, the lease's token."""

SWEEP = Script(
    """
local ids = redis.call("ZRANGE", KEYS[1], 0, 499)
for _, id in ipairs(ids) do redis.call("UNLINK", ARGV[1] .. id) end
if #ids > 0 then redis.call("ZREMRANGEBYRANK", KEYS[1], 0, #ids - 1) end
return #ids
""",
    writes=True,
)
"""Remove some of the records of a generation that was dropped. Key 1: its ids. Argument 1: the prefix of records."""

INDEXED = Script(
    """
local known = redis.call("HMGET", KEYS[1], "index", "next")
if known[2] ~= ARGV[1] then return {"gone"} end
redis.call("HSET", KEYS[1], "index", known[2], "kind", ARGV[2])
redis.call("HDEL", KEYS[1], "next")
redis.pcall("FT.DROPINDEX", known[1])
return {"ok"}
""",
    writes=True,
)
"""Make the index that was built beside it the generation's. Key 1: its hash. Arguments: the index, its kind."""
