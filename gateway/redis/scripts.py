"""Lua scripts that count in Redis. Each of them is atomic there, and all times are those of Redis' clock."""

SPEND = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = math.floor(60000000 / ARGV[1])
local most = interval * ARGV[1]
local busy_until = tonumber(redis.call('GET', KEYS[1]) or 0)
local busy = math.min(math.max(busy_until - now, 0), most) + interval
if busy > most then
  return {0, 0, busy - most}
end
redis.call('SET', KEYS[1], string.format('%.0f', now + busy), 'PX', math.ceil(busy / 1000))
return {1, math.floor((most - busy) / interval), busy}
"""
"""Counts one request by GCRA.

Keys: the account. Arguments: its requests per minute. Returns 1, the requests that are left, and the
microseconds until all are; or 0, 0, and the microseconds until one more is allowed. A clock that was set back
makes nobody wait for more than a minute.
"""

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = 0
local counts = redis.call('HGETALL', KEYS[1])
for at = 1, #counts, 2 do
  local lease = redis.call('ZSCORE', KEYS[2], counts[at])
  if counts[at] == ARGV[1] or (lease and tonumber(lease) > now) then
    taken = taken + counts[at + 1]
  else
    redis.call('HDEL', KEYS[1], counts[at])
  end
end
if taken >= tonumber(ARGV[2]) then
  return {0, taken}
end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {1, taken + 1}
"""
"""Counts one more stream. Streams of gateways without a lease are forgotten.

Keys: the account, and the leases. Arguments: this gateway, the maximum, and seconds for which the account is
kept. Returns 1 if the stream may begin, else 0; and the account's streams.
"""

PUT = """
if ARGV[2] == '0' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
"""
"""Replaces the number of an account's streams at this gateway.

Keys: the account. Arguments: this gateway, the number, and seconds for which the account is kept.
"""

RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
"""
"""Renews the lease of this gateway, and removes those that have expired.

Keys: the leases. Arguments: this gateway, and the lease in milliseconds. Returns 1 if it had no lease: then
its numbers may have been forgotten.
"""
