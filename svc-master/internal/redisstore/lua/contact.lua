-- Records the last contact of one computer; the newest time wins, so that running twice or out of order is harmless.
--
-- KEYS  1 computer
-- ARGV  1 microseconds since 1970
--
-- Answers the contact before, 0 = none, when it was recorded; -2 when a newer one is known; -1 when the computer is not registered.
if redis.call('HEXISTS', KEYS[1], 'version') == 0 then return -1 end
local known = redis.call('HGET', KEYS[1], 'contact') or '0'
if tonumber(ARGV[1]) <= tonumber(known) then return -2 end
redis.call('HSET', KEYS[1], 'contact', ARGV[1])
return tonumber(known)
