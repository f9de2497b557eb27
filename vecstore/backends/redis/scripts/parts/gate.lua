-- Checks that the generation has the role and the index that the caller relies on, and reads its arguments.
local state = redis.call("HMGET", KEYS[1], "role", "noting", "index")
if not state[1] or (state[1] == "active") ~= (ARGV[2] == "0") then return {"gone"} end
if ARGV[3] ~= "" and state[3] ~= ARGV[3] then return {"moved"} end
local prefix, at = ARGV[1], 4
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local function take_list(width)
  local count, found = tonumber(take()), {}
  for i = 1, count * (width or 1) do found[i] = take() end
  return found
end
