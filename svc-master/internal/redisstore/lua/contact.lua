-- Records the last contact of one computer; the newest time wins, so that running twice or out of order is harmless.
--
-- KEYS  1 computer
-- ARGV  1 microseconds since 1970
--
-- Answers the contact before, 0 = none, when it was recorded; -2 when a newer one is known; -1 when the computer is not registered.
local known = redis.call('HMGET', KEYS[1], 'version', 'contact')
if not known[1] then return -1 end
local before = tonumber(known[2] or '0')
if tonumber(ARGV[1]) <= before then return -2 end
redis.call('HSET', KEYS[1], 'contact', ARGV[1])
return before
