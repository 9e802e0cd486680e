-- Commits what the core decided about one tree: all of it, or nothing. No rule of vow is in here (docs/decisions/0001).
--
-- KEYS  1 tree, 2 bangs, 3 convergences, 4 and 5 answers by request id, 6 feed, 7 meta, 8 trees, 9 unsettled, 10 unallocated, 11 audit,
--       12 ids of the tree's entries in that
-- ARGV  1 version that was decided on (0 = the tree does not exist), 2 epoch that was decided under, 3 day (UTC, number),
--       4 bound of a hash of answers, 5 bound of the feed, 6 slack of the feed, 7 and 8 bounds of bangs and convergences, 9 id of the tree,
--       10 and 11 bounds of the audit and of the tree's entries in it, 12 the oldest id that is kept in it;
--       then lists, each after its length: request ids with answers; for tree, bangs and convergences: fields with values, fields
--       to delete; for unsettled and unallocated: members to add, members to remove; audit entries; fields of feed entries.
--
-- Answers {"ok", first sequence}                committed; the fields of the tree hold its new version
--         {"seen", index, answer, …}               these requests were answered before; nothing is changed
--         {"epoch", epoch} {"conflict", version}   decided on something else than what is stored; nothing is changed
--
-- What it costs is calls of commands, 1 to 2 µs each with their way into the append-only file, and tables of Lua: so lists are unpacked out of ARGV as they
-- are, empty ones cost nothing, and the entries of a commit take their sequences from the counter at once (docs/decisions, 50).
local expected, epoch, day = ARGV[1], ARGV[2], ARGV[3]
local bounds = {[2] = tonumber(ARGV[7]), [3] = tonumber(ARGV[8])}
local at = 13

-- each calls a command with the items of the next list, at most 1000 at once: unpack fails beyond 7,000. It answers how many there were.
local function each(command, key)
  local first, last = at + 1, at + tonumber(ARGV[at])
  for i = first, last, 1000 do
    redis.call(command, key, unpack(ARGV, i, math.min(i + 999, last)))
  end
  at = last + 1
  return last - first + 1
end

local requests = tonumber(ARGV[at])
if requests > 0 then
  local ids = {}
  for i = 1, requests, 2 do ids[#ids + 1] = ARGV[at + i] end
  local seen = {'seen'}
  local first, second = redis.call('HMGET', KEYS[4], unpack(ids)), redis.call('HMGET', KEYS[5], unpack(ids))
  for i = 1, #ids do
    local answer = first[i] or second[i]
    if answer then
      seen[#seen + 1] = i
      seen[#seen + 1] = answer
    end
  end
  if #seen > 1 then return seen end
end

local meta = redis.call('HMGET', KEYS[7], 'epoch', 'floor')
local current_epoch = meta[1] or '0'
if current_epoch ~= epoch then return {'epoch', current_epoch} end
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= expected then return {'conflict', version} end

-- Answers live in two hashes; the older one is dropped when the newer one is full or of another day, so that at least
-- the bound and at most twice as many of the newest are known.
if requests > 0 then
  local turn = redis.call('HMGET', KEYS[1], 'answers', 'answers_day')
  local current = tonumber(turn[1] or '0')
  if turn[2] ~= day or redis.call('HLEN', KEYS[4 + current]) >= tonumber(ARGV[4]) then
    current = 1 - current
    redis.call('DEL', KEYS[4 + current])
    redis.call('HSET', KEYS[1], 'answers', string.format('%d', current), 'answers_day', day)
  end
  each('HSET', KEYS[4 + current])
else
  at = at + 1
end

-- Numbers skip 2^20 when the epoch moves, so that the lists never name the records from before. They go, lowest first, once they are a tenth too many.
for i = 1, 3 do
  local added = each('HSET', KEYS[i])
  each('HDEL', KEYS[i])
  if i > 1 and added > 0 and redis.call('HLEN', KEYS[i]) > bounds[i] * 1.1 then
    local numbers = redis.call('HKEYS', KEYS[i])
    table.sort(numbers, function(a, b) return tonumber(a) < tonumber(b) end)
    for n = 1, #numbers - bounds[i], 1000 do
      redis.call('HDEL', KEYS[i], unpack(numbers, n, math.min(n + 999, #numbers - bounds[i])))
    end
  end
end
for i = 9, 10 do
  each('SADD', KEYS[i])
  each('SREM', KEYS[i])
end
if expected == '0' then redis.call('SADD', KEYS[8], ARGV[9]) end

-- Ids of what the audit dropped meanwhile are dropped from it again, which does nothing.
local audit = tonumber(ARGV[at])
if audit > 0 then
  for i = at + 1, at + audit do redis.call('RPUSH', KEYS[12], redis.call('XADD', KEYS[11], '*', 'a', ARGV[i])) end
  for i = tonumber(ARGV[11]) + 1, redis.call('LLEN', KEYS[12]) do redis.call('XDEL', KEYS[11], redis.call('LPOP', KEYS[12])) end
  redis.call('XTRIM', KEYS[11], 'MAXLEN', ARGV[10])
  redis.call('XTRIM', KEYS[11], 'MINID', ARGV[12])
end
at = at + audit + 1

-- The entries of a commit are one item of the stream, or several of at most 100 entries: an XADD for each was a quarter of what a change cost Redis. An item's id has
-- the sequence of its last entry; Go named the fields by how many come after each.
local fields = tonumber(ARGV[at])
if fields == 0 then return {'ok', 0} end
local last = redis.call('HINCRBY', KEYS[7], 'seq', fields / 2)
local first = last - fields / 2 + 1
for i = 1, fields, 200 do
  local upto = math.min(i + 199, fields)
  redis.call('XADD', KEYS[6], string.format('%s-%d', epoch, first + upto / 2 - 1), unpack(ARGV, at + i, at + upto))
end
-- Trimming in steps of the slack keeps it off most commits; the floor is the last sequence that need not be there any more.
local bound = tonumber(ARGV[5])
if last - tonumber(meta[2] or '0') > bound + tonumber(ARGV[6]) then
  redis.call('XTRIM', KEYS[6], 'MINID', string.format('%s-%d', epoch, last - bound + 1))
  redis.call('HSET', KEYS[7], 'floor', string.format('%d', last - bound))
end
return {'ok', first}
