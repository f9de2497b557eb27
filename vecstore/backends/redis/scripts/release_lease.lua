-- Releases a lease that the caller holds. Key 1: the lease. Argument: token.
if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("DEL", KEYS[1]) end
