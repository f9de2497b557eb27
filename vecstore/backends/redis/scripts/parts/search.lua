-- Runs queries on the index of the generation.
-- In a script, the names in a reply of the query engine are status replies, and those are tables.
local function get_member(reply, name)
  for key, value in pairs(reply.map) do
    if key == name or (type(key) == "table" and key.ok == name) then return value end
  end
end
local function search_ids(queries, most, timeout)
  local ids, seen = {}, {}
  for _, query in ipairs(queries) do
    redis.setresp(3)
    local answer = redis.pcall(
      "FT.SEARCH", state[3], query, "NOCONTENT", "LIMIT", "0", most, "TIMEOUT", timeout, "DIALECT", "2"
    )
    redis.setresp(2)
    if answer.err then return nil, {"failed", answer.err} end
    local warning = (get_member(answer, "warning") or {})[1]
    if warning then return nil, {"failed", type(warning) == "table" and warning.ok or warning} end
    local results = get_member(answer, "results")
    if get_member(answer, "total_results") > #results then return nil, {"many"} end
    for _, each in ipairs(results) do
      local id = string.sub(get_member(each, "id"), #prefix + 1)
      if not seen[id] then
        seen[id] = true
        ids[#ids + 1] = id
      end
    end
  end
  return ids
end
