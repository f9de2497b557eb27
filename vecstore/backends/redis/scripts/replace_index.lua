-- Puts a finished index in the place of the present one. Key 1: the generation's hash. Arguments: the index, its kind.
local indexes = redis.call("HMGET", KEYS[1], "index", "next")
if indexes[2] ~= ARGV[1] then return {"gone"} end
redis.call("HSET", KEYS[1], "index", indexes[2], "kind", ARGV[2])
redis.call("HDEL", KEYS[1], "next")
redis.pcall("FT.DROPINDEX", indexes[1])
return {"ok"}
