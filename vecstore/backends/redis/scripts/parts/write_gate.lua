-- Checks that the caller may write. What follows notes each changed id and ends with finish().
-- What a script did before a command that the user may not run stays done, so all of them are checked first.
for _, each in ipairs(redis.acl_check_cmd and {
  {"DEL", prefix}, {"HSET", prefix, "a", "a"}, {"HDEL", prefix, "a"}, {"HSET", KEYS[1], "a", "a"},
  {"ZADD", KEYS[2], "0", "a"}, {"ZREM", KEYS[2], "a"}, {"ZCARD", KEYS[2]},
} or {}) do
  if not redis.acl_check_cmd(unpack(each)) then return {"failed", "NOPERM " .. each[1]} end
end
if state[1] == "active" then
  local holder = redis.call("GET", KEYS[6])
  if holder then return {"locked", holder} end
end
-- A key of another type is no record; HGET fails on it, which must not end the script in the middle.
local function get_attribute(key, name)
  local found = redis.pcall("HGET", key, name)
  return type(found) ~= "table" and found
end
local seq
local function note(id)
  if not state[2] then return end
  seq = (seq or tonumber(redis.call("HGET", KEYS[1], "seq") or "0")) + 1
  redis.call("ZADD", KEYS[5], seq, id)
end
local function finish(count)
  if seq then redis.call("HSET", KEYS[1], "seq", string.format("%.0f", seq)) end
  return {"ok", count, redis.call("ZCARD", KEYS[2])}
end
