-- Makes a store, or a standby generation of one, and its index.
-- Key 3: the number of the layout. Arguments: uid, name, the generation's id, schema, identity, ef, `1` for a standby,
-- the key prefix of change lists, the layout that its records need, `1` for a remote one, and the words that make its
-- index; the second of them is the index's name. A remote one has none.
--#include entry
local uid, name, id, schema, identity, ef, standby, changes, layout, remote = unpack(ARGV, 3, 12)
local owner = redis.call("HGET", KEYS[1], name)
if standby == "1" then
  if not owner then return {"absent"} end
  uid = owner
  if redis.call("HGET", stores .. uid, "role") == "building" then return {"exists"} end
elseif owner then
  return {"exists"}
end
if redis.acl_check_cmd and not redis.acl_check_cmd("HSET", generations .. id, "a", "a") then
  return redis.error_reply("NOPERM HSET")
end
local hash = generations .. id
local role = standby == "1" and "building" or "active"
if remote == "1" then
  redis.call("HSET", hash, "store", uid, "schema", schema, "remote", 1)
else
  local created = redis.pcall(unpack(ARGV, 13))
  if created.err then return {"refused", created.err} end
  redis.call("HSET", hash, "store", uid, "schema", schema, "role", role, "epoch", 0, "index", ARGV[14], "kind", "flat")
end
if identity ~= "" then redis.call("HSET", hash, "identity", identity) end
if ef ~= "" then redis.call("HSET", hash, "ef", ef) end
if standby == "1" then
  local active, previous = unpack(redis.call("HMGET", stores .. uid, "active", "standby"))
  if previous then
    redis.call("HSET", stores .. uid, "parked", previous)
    redis.call("HDEL", generations .. previous, "role")
    redis.call("HINCRBY", generations .. previous, "epoch", 1)
  end
  redis.call("HSET", stores .. uid, "standby", id, "role", role)
  redis.call("HSET", generations .. active, "noting", 1)
  redis.call("DEL", changes .. active)
else
  redis.call("HSET", stores .. uid, "name", name, "active", id)
  if remote == "1" then redis.call("HSET", stores .. uid, "incoming", 1) end
  redis.call("HSET", KEYS[1], name, uid)
end
if tonumber(redis.call("GET", KEYS[3]) or "0") < tonumber(layout) then redis.call("SET", KEYS[3], layout) end
return read_entry(uid)
