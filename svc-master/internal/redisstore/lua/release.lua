-- Frees the title of a root whose tree is gone.
--
-- KEYS  1 index entry of (account, title)
-- ARGV  1 id of the tree that is gone
--
-- Answers 1 when it was freed, 0 when the title names another tree or none: running twice is harmless.
if redis.call('HGET', KEYS[1], 'tree') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
