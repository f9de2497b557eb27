-- Drops the index and the description of a generation; sweep.lua removes its records later.
local function drop_generation(id)
  if not id then return end
  local indexes = redis.call("HMGET", generations .. id, "index", "next")
  for _, index in ipairs({indexes[1] or "", indexes[2] or ""}) do
    if index ~= "" then redis.pcall("FT.DROPINDEX", index) end
  end
  redis.call("DEL", generations .. id)
  redis.call("SADD", KEYS[2], id)
end
