-- Names, generations and roles; each change is one script.
-- Keys: 1 the names, 2 the dropped generations. Arguments: 1 and 2 the key prefixes of stores and of generations.
local stores, generations = ARGV[1], ARGV[2]
-- A remote generation has no role in its own hash, so scripts about its records find it gone.
local function set_role(id, role)
  if redis.call("HGET", generations .. id, "remote") then return end
  redis.call("HSET", generations .. id, "role", role)
  redis.call("HINCRBY", generations .. id, "epoch", 1)
end
local function read_entry(uid)
  local store = redis.call("HMGET", stores .. uid, "name", "active", "standby", "role", "parked")
  if not store[1] then return {"absent"} end
  local answer = {"ok", uid, store[1], store[4] or ""}
  for _, id in ipairs({store[2], store[3], store[5]}) do
    if id then
      local generation = redis.call("HMGET", generations .. id, "schema", "identity", "ef")
      answer[#answer + 1] = {id, generation[1], generation[2], generation[3]}
    end
  end
  return answer
end
