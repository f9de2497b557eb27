-- Replaces the description of a generation. Arguments: its id, schema, identity, ef.
--#include entry
local hash = generations .. ARGV[3]
if redis.call("EXISTS", hash) == 0 then return {"absent"} end
redis.call("HSET", hash, "schema", ARGV[4])
for i, name in ipairs({"identity", "ef"}) do
  local value = ARGV[4 + i]
  if value == "" then redis.call("HDEL", hash, name) else redis.call("HSET", hash, name, value) end
end
return {"ok"}
