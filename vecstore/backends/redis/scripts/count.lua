-- Returns the number of records.
--#include gate
return {"ok", redis.call("ZCARD", KEYS[2])}
