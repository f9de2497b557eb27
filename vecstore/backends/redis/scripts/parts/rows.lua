-- Appends records to `answer`: each id, then the values of the attributes that the caller names.
-- Arguments: names of attributes; every record has the first of them.
local names, answer = take_list(), {"ok"}
local function add(id)
  local values = redis.call("HMGET", prefix .. id, unpack(names))
  if values[1] then
    answer[#answer + 1] = id
    answer[#answer + 1] = values
  end
end
