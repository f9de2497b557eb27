-- Drops a store, or its standby generation; sweep.lua removes the records later.
-- Arguments: uid, the standby's id or an empty word, the key prefix of change lists.
--#include entry
local uid, id, changes = ARGV[3], ARGV[4], ARGV[5]
local store = redis.call("HMGET", stores .. uid, "name", "active", "standby")
if not store[1] then return {"absent"} end
local function drop_generation(each)
  if not each then return end
  local indexes = redis.call("HMGET", generations .. each, "index", "next")
  for _, index in ipairs({indexes[1] or "", indexes[2] or ""}) do
    if index ~= "" then redis.pcall("FT.DROPINDEX", index) end
  end
  redis.call("DEL", generations .. each)
  redis.call("SADD", KEYS[2], each)
end
if id == "" then
  drop_generation(store[2])
  drop_generation(store[3])
  redis.call("HDEL", KEYS[1], store[1])
  redis.call("DEL", stores .. uid)
  return {"ok"}
end
if store[3] ~= id then return {"absent", store[1]} end
drop_generation(id)
redis.call("HDEL", stores .. uid, "standby", "role")
redis.call("HDEL", generations .. store[2], "noting")
redis.call("DEL", changes .. store[2])
return {"ok"}
