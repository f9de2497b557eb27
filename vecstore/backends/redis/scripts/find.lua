-- Returns the entry of a store. Arguments: a uid, or an empty word and a name.
--#include entry
local uid = ARGV[3]
if uid == "" then uid = redis.call("HGET", KEYS[1], ARGV[4]) end
if not uid then return {"absent"} end
return read_entry(uid)
