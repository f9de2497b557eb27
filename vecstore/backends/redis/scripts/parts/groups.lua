-- Groups that are replaced as a whole: which ones their fences let pass, and what of these is not among the rows.
local groups = mode == "group"
local heads, passed, given, members = {}, {}, {}, {}
local function find_version(id)
  return get_attribute(prefix .. id, "version") or redis.call("HGET", KEYS[4], id)
end
local function choose_newest(version, fence)
  if version and tonumber(version) > tonumber(fence) then return version end
  return fence ~= "0" and fence
end
if groups then
  heads = take_list()
  local limits = take_list()
  groups = take_list()
  for i = 1, #heads do
    local head = heads[i]
    if tonumber(find_version(head) or "0") <= tonumber(limits[i]) then
      passed[i] = limits[i]
      -- Read before the first write: a command that the user may not run must not end the script after one.
      members[i] = redis.call("ZRANGEBYLEX", KEYS[2], "[" .. head .. "#0", "(" .. head .. "#:")
    end
  end
  for i = 1, #ids do
    groups[i] = tonumber(groups[i])
    given[ids[i]] = true
  end
end
local function drop(id, fence)
  local version = choose_newest(find_version(id), fence)
  if redis.call("ZREM", KEYS[2], id) == 1 then
    redis.call("DEL", prefix .. id)
    note(id)
  end
  if version then
    redis.call("HSET", KEYS[4], id, version)
    redis.call("ZADD", KEYS[3], 0, id)
  end
end
local function drop_members()
  for i, fence in pairs(passed) do
    local head = heads[i]
    for _, id in ipairs(members[i]) do
      if not given[id] and string.find(string.sub(id, #head + 2), "^[1-9][0-9]*$") then drop(id, fence) end
    end
    if not given[head] then drop(head, fence) end
  end
end
