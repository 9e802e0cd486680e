-- Commits what the core decided about one tree: all of it, or nothing. No rule of vow is in here (docs/decisions/0001).
--
-- KEYS  1 tree, 2 bangs, 3 convergences, 4 and 5 answers by request id, 6 feed, 7 meta, 8 trees, 9 unsettled, 10 unallocated
-- ARGV  1 version that was decided on (0 = the tree does not exist), 2 epoch that was decided under, 3 day (UTC, number),
--       4 bound of a hash of answers, 5 bound of the feed, 6 slack of the feed, 7 and 8 bounds of bangs and convergences, 9 id of the tree;
--       then lists, each after its length: request ids with answers; for tree, bangs and convergences: fields with values, fields
--       to delete; for unsettled and unallocated: members to add, members to remove; feed entries.
--
-- Answers {"ok", version, epoch, first sequence}   committed
--         {"seen", index, answer, …}               these requests were answered before; nothing is changed
--         {"epoch", epoch} {"conflict", version}   decided on something else than what is stored; nothing is changed
local expected, epoch, day = ARGV[1], ARGV[2], ARGV[3]
local bound_answers, bound_feed, slack_feed = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local bounds = {[2] = tonumber(ARGV[7]), [3] = tonumber(ARGV[8])}
local tree_id = ARGV[9]
local at = 10

-- list cuts the next list out of ARGV.
local function list()
  local n = tonumber(ARGV[at])
  local out = {}
  for i = 1, n do out[i] = ARGV[at + i] end
  at = at + n + 1
  return out
end

-- chunked calls a command with at most 1000 of the items at once: unpack fails beyond 7,000.
local function chunked(command, key, items)
  for i = 1, #items, 1000 do
    redis.call(command, key, unpack(items, i, math.min(i + 999, #items)))
  end
end

local requests = list()
local ids = {}
for i = 1, #requests, 2 do ids[#ids + 1] = requests[i] end
if #ids > 0 then
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

local current_epoch = redis.call('HGET', KEYS[7], 'epoch') or '0'
if current_epoch ~= epoch then return {'epoch', current_epoch} end
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if version ~= expected then return {'conflict', version} end

-- Answers live in two hashes; the older one is dropped when the newer one is full or of another day, so that at least
-- bound_answers and at most twice as many of the newest are known.
if #requests > 0 then
  local turn = redis.call('HMGET', KEYS[1], 'answers', 'answers_day')
  local current = tonumber(turn[1] or '0')
  if turn[2] ~= day or redis.call('HLEN', KEYS[4 + current]) >= bound_answers then
    current = 1 - current
    redis.call('DEL', KEYS[4 + current])
    redis.call('HSET', KEYS[1], 'answers', string.format('%d', current), 'answers_day', day)
  end
  chunked('HSET', KEYS[4 + current], requests)
end

for i = 1, 3 do
  chunked('HSET', KEYS[i], list())
  chunked('HDEL', KEYS[i], list())
end
for i = 9, 10 do
  chunked('SADD', KEYS[i], list())
  chunked('SREM', KEYS[i], list())
end

-- Numbers skip 2^20 when the epoch moves, so that the lists above never name the records from before. They go, lowest first, once they are a tenth too many.
for i = 2, 3 do
  if redis.call('HLEN', KEYS[i]) > bounds[i] * 1.1 then
    local numbers = redis.call('HKEYS', KEYS[i])
    table.sort(numbers, function(a, b) return tonumber(a) < tonumber(b) end)
    local dropped = {}
    for n = 1, #numbers - bounds[i] do dropped[n] = numbers[n] end
    chunked('HDEL', KEYS[i], dropped)
  end
end

local new_version = redis.call('HINCRBY', KEYS[1], 'version', 1)
if expected == '0' then redis.call('SADD', KEYS[8], tree_id) end

local entries = list()
local first_sequence = 0
for i = 1, #entries do
  local sequence = redis.call('HINCRBY', KEYS[7], 'seq', 1)
  if i == 1 then first_sequence = sequence end
  redis.call('XADD', KEYS[6], epoch .. '-' .. string.format('%d', sequence), 'e', entries[i])
end
-- Trimming in steps of the slack keeps it off most commits; the floor is the last sequence that is not there any more.
if #entries > 0 and redis.call('XLEN', KEYS[6]) > bound_feed + slack_feed then
  redis.call('XTRIM', KEYS[6], 'MAXLEN', bound_feed)
  local oldest = redis.call('XRANGE', KEYS[6], '-', '+', 'COUNT', 1)[1][1]
  redis.call('HSET', KEYS[7], 'floor', string.format('%d', tonumber(string.match(oldest, '%-(%d+)$')) - 1))
end
return {'ok', new_version, epoch, first_sequence}
