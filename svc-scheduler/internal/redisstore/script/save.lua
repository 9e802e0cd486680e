-- Writes fields of a computer's agenda if the session is still the caller's. Returns 1, or 0 when a newer session owns it.
--
-- KEYS[1] the computer's agenda
-- ARGV[1] the session
-- ARGV[2] the number n of fields to write; then n times (field, value)
-- the rest of ARGV: fields to remove
if redis.call('HGET', KEYS[1], '#session') ~= ARGV[1] then
  return 0
end
local n = tonumber(ARGV[2])
for i = 0, n - 1 do
  redis.call('HSET', KEYS[1], ARGV[3 + 2 * i], ARGV[4 + 2 * i])
end
for i = 3 + 2 * n, #ARGV do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
return 1
