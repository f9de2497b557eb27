-- Takes a free lease, or that of a holder who is gone; otherwise returns the holder's token.
-- Key 1: the lease. Arguments: token, milliseconds, the token of the holder who is gone or an empty word.
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then return holder end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return false
