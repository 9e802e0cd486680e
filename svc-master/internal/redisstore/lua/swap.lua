-- Changes one computer, if it is still the version that was decided on.
--
-- KEYS  1 computer
-- ARGV  1 version that was decided on (0 = it does not exist); then two lists, each after its length: fields with values, fields to delete
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
return redis.call('HINCRBY', KEYS[1], 'version', 1)
