-- Reads keys with their types, times to live and values, in one atomic step.
--
-- KEYS  those to read, of one slot; none = every key, on the embedded store only, which has one database and no slots
-- ARGV  none
--
-- Returns a list of {key, type, time to live in ms, value, last id of a stream}.
local all = {}
local keys = KEYS
if #keys == 0 then keys = redis.call('KEYS', '*') end
for i, key in ipairs(keys) do
  local kind = redis.call('TYPE', key)
  if type(kind) == 'table' then kind = kind.ok end
  local value, last = {}, ''
  if kind == 'string' then
    value = {redis.call('GET', key)}
  elseif kind == 'hash' then
    value = redis.call('HGETALL', key)
  elseif kind == 'list' then
    value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then
    value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then
    value = redis.call('XRANGE', key, '-', '+')
    local info = redis.call('XINFO', 'STREAM', key)
    for j = 1, #info, 2 do
      if info[j] == 'last-generated-id' then last = info[j + 1] end
    end
  end
  all[i] = {key, kind, redis.call('PTTL', key), value, last}
end
return all
