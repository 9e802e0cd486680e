-- Raises the session of a computer's agenda and returns {session, seconds, microseconds, all fields}.
--
-- KEYS[1] the computer's agenda
--
-- The session is the server's time in milliseconds or one more than before, whichever is greater, so that it also grows over a loss of data.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local session = tonumber(redis.call('HGET', KEYS[1], '#session') or '0') + 1
if session < now then
  session = now
end
local text = string.format('%d', session)
redis.call('HSET', KEYS[1], '#session', text)
return {text, time[1], time[2], redis.call('HGETALL', KEYS[1])}
