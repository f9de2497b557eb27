-- Removes up to 500 records of a dropped generation. Key 1: its ids. Argument 1: the key prefix of its records.
local ids = redis.call("ZRANGE", KEYS[1], 0, 499)
for _, id in ipairs(ids) do redis.call("UNLINK", ARGV[1] .. id) end
if #ids > 0 then redis.call("ZREMRANGEBYRANK", KEYS[1], 0, #ids - 1) end
return #ids
