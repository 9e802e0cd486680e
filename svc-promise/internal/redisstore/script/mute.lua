-- Mutes or unmutes a promise, and writes down who did. Returns 1; 0 when there is no mute to end; -1 when there are too many.
--
-- KEYS[1] the mutes
-- KEYS[2] what was done
-- ARGV[1] field of the promise
-- ARGV[2] record of the mute; '' = end it
-- ARGV[3] record of the act
-- ARGV[4] how many mutes there may be, ARGV[5] how many acts are kept
-- the rest of ARGV: fields of mutes that are over for long, to remove
for i = 6, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
if ARGV[2] == '' then
  if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
    return 0
  end
else
  if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then
    return -1
  end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
redis.call('HINCRBY', KEYS[1], '#version', 1)
redis.call('LPUSH', KEYS[2], ARGV[3])
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[5]) - 1)
return 1
