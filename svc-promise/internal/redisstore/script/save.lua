-- Writes fields of one promise if its version is still the one that was read. Returns 1, or 0 when somebody else wrote.
--
-- KEYS[1] the promise's hash
-- KEYS[2] the promises of its allocation
-- ARGV[1] version that was read; '' = there was none
-- ARGV[2] version to write
-- ARGV[3] name of the promise
-- ARGV[4] when it was sensed last, in milliseconds
-- ARGV[5] milliseconds until both keys expire
-- ARGV[6] how many promises of the allocation are kept
-- ARGV[7] the number n of fields to write; then n times (field, value)
-- the rest of ARGV: fields to remove
if (redis.call('HGET', KEYS[1], 'v') or '') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[2])
local n = tonumber(ARGV[7])
for i = 0, n - 1 do
  redis.call('HSET', KEYS[1], ARGV[8 + 2 * i], ARGV[9 + 2 * i])
end
for i = 8 + 2 * n, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[6]))
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1
