-- Replaces the description of a generation, but not an identity that it has. Arguments: its id, schema, identity, ef.
--#include entry
local hash = generations .. ARGV[3]
if redis.call("EXISTS", hash) == 0 then return {"absent"} end
redis.call("HSET", hash, "schema", ARGV[4])
if ARGV[5] ~= "" then redis.call("HSETNX", hash, "identity", ARGV[5]) end
if ARGV[6] == "" then redis.call("HDEL", hash, "ef") else redis.call("HSET", hash, "ef", ARGV[6]) end
return {"ok"}
