-- Changes one computer, if it is still the version that was decided on.
--
-- KEYS  1 computer, 2 its audit
-- ARGV  1 version that was decided on (0 = it does not exist); then lists, each after its length: fields with values, fields to delete; and, with 2,
--       audit entries, the bound of 2 and the oldest id that is kept in it
--
-- Answers the new version, or -1 when another version is stored; nothing is changed then. Deciding again gives the same
-- fields when this change was already made, so that running twice is harmless.
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= ARGV[1] then return -1 end
local at = 2
for _, command in ipairs({'HSET', 'HDEL'}) do
  local n = tonumber(ARGV[at])
  for i = at + 1, at + n, 1000 do
    redis.call(command, KEYS[1], unpack(ARGV, i, math.min(i + 999, at + n)))
  end
  at = at + n + 1
end
if KEYS[2] then
  local n = tonumber(ARGV[at])
  for i = at + 1, at + n do redis.call('XADD', KEYS[2], '*', 'a', ARGV[i]) end
  if n > 0 then
    redis.call('XTRIM', KEYS[2], 'MAXLEN', ARGV[at + n + 1])
    redis.call('XTRIM', KEYS[2], 'MINID', ARGV[at + n + 2])
  end
end
return redis.call('HINCRBY', KEYS[1], 'version', 1)
