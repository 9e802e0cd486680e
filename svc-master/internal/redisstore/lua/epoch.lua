-- Moves the epoch of one shard when the server is another life than the one that wrote last: it may have lost data.
--
-- KEYS  1 meta
-- ARGV  1 identity of the server's life
--
-- The first epoch is 1. Later ones are at least the seconds since 2025 by the server's clock: a backup may be restored that is older than the last move,
-- and what that one gave out must not be given out again (docs/decisions, 40).
--
-- Answers {epoch, 1 if it moved}. Running twice is harmless: the second finds its own identity.
if redis.call('HGET', KEYS[1], 'server') == ARGV[1] then
  return {redis.call('HGET', KEYS[1], 'epoch'), 0}
end
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0') + 1
if epoch > 1 then epoch = math.max(epoch, tonumber(redis.call('TIME')[1]) - 1735689600) end
redis.call('HSET', KEYS[1], 'server', ARGV[1], 'epoch', string.format('%d', epoch))
return {string.format('%d', epoch), 1}
