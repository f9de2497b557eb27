-- Runs a filter program on records; filters.py writes it, and describes its words.
-- Every predicate is false on a missing value. A list of tags begins with a mark, so that an empty list is a value too.
local TESTS = {
  eq = function(a, b) return a == b end,
  lt = function(a, b) return a < b end,
  lte = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end,
  gte = function(a, b) return a >= b end,
}
local LARGEST = 1.7976931348623157e308
-- Says whether one string comes before another one by its bytes, which is the order of code points in UTF-8. The
-- operator of Lua asks the locale of the server.
local function is_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local STRINGS = {
  lt = is_before,
  lte = function(a, b) return not is_before(b, a) end,
  gt = function(a, b) return is_before(b, a) end,
  gte = function(a, b) return not is_before(a, b) end,
  starts_with = function(a, b) return string.sub(a, 1, #b) == b end,
  contains_text = function(a, b) return string.find(a, b, 1, true) ~= nil end,
}
-- Compares the value at the end of a path into undeclared metadata; false where there is none or one of another class.
local function has_value(extra, step)
  local value = extra and cjson.decode(extra)
  for _, key in ipairs(step[5]) do
    if type(value) ~= "table" then return false end
    value = value[key]
  end
  if type(value) ~= step[2] then return false end
  if step[2] == "string" then return STRINGS[step[3]](value, step[4]) end
  return TESTS[step[3]](math.max(-LARGEST, math.min(LARGEST, value)), step[4])
end
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
    if kind == "tags" or kind == "numbers" or kind == "texts" then
      local count, values = tonumber(words[i + 3]), {}
      for each = 1, count do
        local value = words[i + 3 + each]
        values[each] = kind == "numbers" and tonumber(value) or value
      end
      steps[#steps + 1] = {kind, add_column(words[i + 1]), words[i + 2], values}
      i = i + 4 + count
    elseif kind == "key" then
      local is_number, path = words[i + 1] == "number", {}
      for each = 1, tonumber(words[i + 4]) do path[each] = words[i + 4 + each] end
      local operand = is_number and tonumber(words[i + 3]) or words[i + 3]
      local column = add_column("extra")
      steps[#steps + 1] = {kind, is_number and "number" or "string", words[i + 2], operand, path, column}
      i = i + 5 + #path
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
  -- The token of a string is the string behind a p, or its bytes in hex behind an h; see fields.py.
  local function has_text(value, how, wanted)
    if not value then return false end
    local text = string.sub(value, 2)
    if string.sub(value, 1, 1) == "h" then
      text = string.gsub(text, "..", function(pair) return string.char(tonumber(pair, 16)) end)
    end
    return STRINGS[how](text, wanted[1])
  end
  local PREDICATES = {tags = has_tags, numbers = has_number, texts = has_text}
  local found = {}
  for _, id in ipairs(ids) do
    local values = #names > 0 and redis.call("HMGET", prefix .. id, unpack(names)) or {}
    local stack, top = {}, 0
    for _, step in ipairs(steps) do
      local kind = step[1]
      local test = PREDICATES[kind]
      if test then
        top = top + 1
        stack[top] = test(values[step[2]], step[3], step[4])
      elseif kind == "key" then
        top = top + 1
        stack[top] = has_value(values[step[6]], step)
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
