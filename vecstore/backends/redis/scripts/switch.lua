-- Makes the standby generation the active one while the caller holds the lease of the switch.
-- Key 3: the lease. Arguments: uid, the standby's id, the key prefix of change lists, the lease's token.
--#include entry
--#include drop_generation
local uid, id, changes, token = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local store = redis.call("HMGET", stores .. uid, "name", "active", "standby", "parked")
if not store[1] or store[3] ~= id then return {"absent", store[1] or ""} end
if redis.call("GET", KEYS[3]) ~= token then return {"lost"} end
if store[4] then drop_generation(store[4]) end
redis.call("HDEL", stores .. uid, "parked", "incoming")
redis.call("HSET", stores .. uid, "active", id, "standby", store[2], "role", "previous")
set_role(id, "active")
set_role(store[2], "previous")
redis.call("HSET", generations .. id, "noting", 1)
redis.call("HDEL", generations .. store[2], "noting")
redis.call("DEL", changes .. id)
redis.call("DEL", changes .. store[2])
return read_entry(uid)
