"""What reads the records of one generation, each method one script; see `script_parts`."""

from __future__ import annotations

from .parts import GATE, MATCHING, SELECTED
from .script import Script

EXTRAS = Script(
    f"""{GATE}{SELECTED}
local answer = {{"ok"}}
for _, id in ipairs(selected) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call("HGET", prefix .. id, "extra") or "{{}}"
end
return answer
"""
)

SELECT = Script(
    f"""{GATE}{SELECTED}
table.insert(selected, 1, "ok")
return selected
"""
)
"""Answers the ids of a selection."""

_ROWS = """
local names, answer = listed(), {"ok"}
local function add(id)
  local values = redis.call("HMGET", prefix .. id, unpack(names))
  if values[1] then
    answer[#answer + 1] = id
    answer[#answer + 1] = values
  end
end
"""

FETCH = Script(f"{GATE}{_ROWS}for _, id in ipairs(listed()) do add(id) end return answer")
"""Arguments: names of attributes, the first of which every record has, and ids."""

MATCHING_ROWS = Script(
    f"""{GATE}{_ROWS}{SELECTED}
for _, id in ipairs(selected) do add(id) end
return answer
"""
)
"""Arguments: names, then a selection."""

PAGE = Script(
    f"""{GATE}{_ROWS}
local after, limit = take(), tonumber(take())
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[2], after, "+", "LIMIT", 0, limit)) do add(id) end
return answer
"""
)

INSPECT = Script(
    f"""{GATE}
local names, answer = listed(), {{"ok"}}
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[2], take(), "+", "LIMIT", 0, tonumber(take()))) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call("HMGET", prefix .. id, unpack(names))
end
return answer
"""
)
"""As `PAGE`, and what is listed without being there."""

MATCHES = Script(
    f"""{GATE}{MATCHING}
local after, limit, steps = take(), tonumber(take()), listed()
local ids = redis.call("ZRANGEBYLEX", KEYS[2], after, "+", "LIMIT", 0, limit)
local answer = matching(ids, steps)
table.insert(answer, 1, ids[#ids] or "")
table.insert(answer, 1, "ok")
return answer
"""
)
"""Arguments: where to begin, how many ids to look at, a program. Answers the last id looked at, and matches."""

SAMPLE = Script(
    f"""{GATE}{_ROWS}
local size, count = tonumber(take()), redis.call("ZCARD", KEYS[2])
for number = 0, math.min(size, count) - 1 do
  local place = count <= size and number or math.floor(number * count / size)
  add(redis.call("ZRANGE", KEYS[2], place, place)[1])
end
return answer
"""
)

COUNT = Script(f'{GATE} return {{"ok", redis.call("ZCARD", KEYS[2])}}')

TOMBSTONES = Script(
    f"""{GATE}
local answer = {{"ok"}}
for _, id in ipairs(redis.call("ZRANGEBYLEX", KEYS[3], take(), "+", "LIMIT", 0, tonumber(take()))) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call("HGET", KEYS[4], id)
end
return answer
"""
)
