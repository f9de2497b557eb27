-- Renames a store. Arguments: uid, the new name.
--#include entry
local uid, name = ARGV[3], ARGV[4]
local old = redis.call("HGET", stores .. uid, "name")
if not old then return {"absent"} end
if redis.call("HEXISTS", KEYS[1], name) == 1 then return {"exists"} end
redis.call("HDEL", KEYS[1], old)
redis.call("HSET", KEYS[1], name, uid)
redis.call("HSET", stores .. uid, "name", name)
return {"ok"}
