-- Moves the schema version of one service on, if it still is what the caller upgraded from.
--
-- KEYS  1 versions
-- ARGV  1 service  2 version before  3 version after
--
-- Answers the version that holds now. Running twice is harmless: the second finds another version than before.
local now = redis.call('HGET', KEYS[1], ARGV[1]) or '1'
if now ~= ARGV[2] then return now end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return ARGV[3]
