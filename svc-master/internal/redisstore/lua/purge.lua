-- Deletes a tree of which nothing is left, after its title was freed.
--
-- KEYS  1 tree, 2 bangs, 3 convergences, 4 and 5 answers by request id, 6 feed, 7 meta, 8 trees, 9 unsettled, 10 unallocated, 11 audit,
--       12 ids of the tree's entries in that
-- ARGV  1 version that was decided on, 2 id of the tree
--
-- Answers 1 when it was deleted, 0 when it changed meanwhile or is deleted already: running twice is harmless.
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[12]) -- the audit itself stays, bounded by its shard
redis.call('SREM', KEYS[8], ARGV[2])
redis.call('SREM', KEYS[9], ARGV[2])
-- The header stays for a day: a request that read the tree's id under its title just before that was freed finds that it is gone, and does not make a
-- second tree of that id. So do the answers, for a last report that is repeated.
redis.call('EXPIRE', KEYS[1], 86400)
redis.call('EXPIRE', KEYS[4], 86400)
redis.call('EXPIRE', KEYS[5], 86400)
return 1
