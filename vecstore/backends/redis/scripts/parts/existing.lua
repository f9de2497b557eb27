-- Tells which ids have a record. unpack() takes a few thousand values at most.
local function find_existing(ids)
  local found = {}
  for from = 1, #ids, 1000 do
    local scores = redis.call("ZMSCORE", KEYS[2], unpack(ids, from, math.min(from + 999, #ids)))
    for i = 1, #scores do found[from + i - 1] = scores[i] ~= false end
  end
  return found
end
