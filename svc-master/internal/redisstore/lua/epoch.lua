-- Moves the epoch of one shard when the server is another life than the one that wrote last: it may have lost data.
--
-- KEYS  1 meta
-- ARGV  1 identity of the server's life
--
-- Answers {epoch, 1 if it moved}. Running twice is harmless: the second finds its own identity.
if redis.call('HGET', KEYS[1], 'server') == ARGV[1] then
  return {redis.call('HGET', KEYS[1], 'epoch'), 0}
end
redis.call('HSET', KEYS[1], 'server', ARGV[1])
return {string.format('%d', redis.call('HINCRBY', KEYS[1], 'epoch', 1)), 1}
