-- Runs a filter program on records; filters.py writes it, and describes its words.
-- Every predicate is false on a missing value. A list of tags begins with a mark, so that an empty list is a value too.
local TESTS = {
  eq = function(a, b) return a == b end,
  lt = function(a, b) return a < b end,
  lte = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end,
  gte = function(a, b) return a >= b end,
}
local function filter_ids(ids, words)
  local names, columns = {}, {}
  local function add_column(name)
    if not columns[name] then
      names[#names + 1] = name
      columns[name] = #names
    end
    return columns[name]
  end
  local steps, i = {}, 1
  while i <= #words do
    local kind = words[i]
    if kind == "tags" or kind == "numbers" then
      local count, values = tonumber(words[i + 3]), {}
      for each = 1, count do
        local value = words[i + 3 + each]
        values[each] = kind == "numbers" and tonumber(value) or value
      end
      steps[#steps + 1] = {kind, add_column(words[i + 1]), words[i + 2], values}
      i = i + 4 + count
    elseif kind == "not" then
      steps[#steps + 1] = {kind}
      i = i + 1
    else
      steps[#steps + 1] = {kind, tonumber(words[i + 1])}
      i = i + 2
    end
  end
  local function has_tags(value, how, wanted)
    if not value then return false end
    local tags = {}
    for each in string.gmatch(value, "[^,]+") do tags[each] = true end
    local hits = 0
    for _, each in ipairs(wanted) do if tags[each] then hits = hits + 1 end end
    return how == "any" and hits > 0 or how == "all" and hits == #wanted and hits > 0
  end
  local function has_number(value, how, wanted)
    if not value then return false end
    local number, test = tonumber(value), TESTS[how]
    for _, each in ipairs(wanted) do if test(number, each) then return true end end
    return false
  end
  local found = {}
  for _, id in ipairs(ids) do
    local values = #names > 0 and redis.call("HMGET", prefix .. id, unpack(names)) or {}
    local stack, top = {}, 0
    for _, step in ipairs(steps) do
      local kind = step[1]
      if kind == "tags" or kind == "numbers" then
        top = top + 1
        stack[top] = (kind == "tags" and has_tags or has_number)(values[step[2]], step[3], step[4])
      elseif kind == "not" then
        stack[top] = not stack[top]
      else
        local is_and, result = kind == "and", kind == "and"
        for each = top - step[2] + 1, top do
          if is_and then result = result and stack[each] else result = result or stack[each] end
        end
        top = top - step[2] + 1
        stack[top] = result
      end
    end
    if stack[1] then found[#found + 1] = id end
  end
  return found
end
