-- Drops a store, or a generation beside its active one; sweep.lua removes the records later.
-- Arguments: uid, the generation's id or an empty word, the key prefix of change lists.
--#include entry
--#include drop_generation
local uid, id, changes = ARGV[3], ARGV[4], ARGV[5]
local name, active, standby, parked = unpack(redis.call("HMGET", stores .. uid, "name", "active", "standby", "parked"))
if not name then return {"absent"} end
if id == "" then
  for _, each in ipairs({active, standby or "", parked or ""}) do
    if each ~= "" then drop_generation(each) end
  end
  redis.call("HDEL", KEYS[1], name)
  redis.call("DEL", stores .. uid)
  return {"ok"}
end
if id ~= standby and id ~= parked then return {"absent", name} end
drop_generation(id)
redis.call("HDEL", stores .. uid, "parked")
if id == parked then return {"ok"} end
redis.call("DEL", changes .. active)
if parked then
  redis.call("HSET", stores .. uid, "standby", parked, "role", "previous")
  set_role(parked, "previous")
else
  redis.call("HDEL", stores .. uid, "standby", "role")
  redis.call("HDEL", generations .. active, "noting")
end
return {"ok"}
