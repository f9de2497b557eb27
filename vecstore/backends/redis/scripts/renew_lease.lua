-- Extends a lease that the caller still holds. Key 1: the lease. Arguments: token, milliseconds.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])
