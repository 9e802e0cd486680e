-- Announces one replica of svc-master, or takes it off the list, and answers the list. Replicas that were silent for longer than the lease are forgotten, by the
-- time of the store. Running twice is harmless.
--
-- KEYS  1 replicas
-- ARGV  1 id of the replica  2 its address; empty = it leaves  3 the lease in microseconds
--
-- Answers id, address, id, address… of those that are there.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %s', now, ARGV[2]))
end
local there = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, address = string.match(all[i + 1], '^(%d+) (.+)$')
  if at == nil or now - tonumber(at) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    there[#there + 1] = all[i]
    there[#there + 1] = address
  end
end
return there
