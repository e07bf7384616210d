"""The Lua scripts: each is one atomic write, whose keys all lie in the slot of its domain.

A change is added to the stream first, and its stream id becomes the version of the record: so the order of writes in
Redis is the order of the stream. Each change names the one ``after`` which it came, by which a reader notices that the
stream was trimmed past its position.
"""

_ADD_CHANGE = """
local function add_change(changes, operation, item, length)
  local last = redis.call('XREVRANGE', changes, '+', '-', 'COUNT', 1)
  local after = last[1] and last[1][1] or '0-0'
  return redis.call('XADD', changes, 'MAXLEN', '~', length, '*', 'op', operation, 'id', item, 'after', after)
end
"""

PUT_ITEM = (
    _ADD_CHANGE
    + """
-- KEYS items, vectors, codes, changes, adapter
-- ARGV item id, version that is replaced ('' for none), record, vector ('' to keep), code ('' to keep), stream length
if redis.call('EXISTS', KEYS[5]) == 0 then return {'unknown-domain', ''} end
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local version = stored and string.match(stored, '^[^\\n]*') or ''
if version ~= ARGV[2] then return {'conflict', version} end
local change = add_change(KEYS[4], 'put', ARGV[1], ARGV[6])
redis.call('HSET', KEYS[1], ARGV[1], change .. '\\n' .. ARGV[3])
if ARGV[4] ~= '' then redis.call('HSET', KEYS[2], ARGV[1], ARGV[4]) end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[5]) end
return {'stored', change}
"""
)

STORE_CODES = """
-- KEYS codes, adapter; ARGV item id, tag and code, and so on. What a deleted domain would keep is not written.
if redis.call('EXISTS', KEYS[2]) == 0 then return end
for place = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[place], ARGV[place + 1]) end
"""

DELETE_ITEM = (
    _ADD_CHANGE
    + """
-- KEYS items, vectors, codes, changes, adapter; ARGV item id, stream length
if redis.call('EXISTS', KEYS[5]) == 0 then return {'unknown-domain', ''} end
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return {'unknown-item', ''} end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return {'stored', add_change(KEYS[4], 'delete', ARGV[1], ARGV[2])}
"""
)

SET_ADAPTER = """
-- KEYS adapter; ARGV revision that is replaced ('' for none), a new domain's incarnation, source, sha256, operation
local revision = redis.call('HGET', KEYS[1], 'revision') or ''
if revision ~= ARGV[1] then return -1 end
local wanted = redis.call('HMGET', KEYS[1], 'source', 'sha256')
if revision == '' then
  redis.call('HSET', KEYS[1], 'incarnation', ARGV[2])
elseif wanted[2] ~= ARGV[4] then
  redis.call('HSET', KEYS[1], 'previous_source', wanted[1], 'previous_sha256', wanted[2])
end
redis.call('HSET', KEYS[1], 'source', ARGV[3], 'sha256', ARGV[4], 'operation', ARGV[5])
return redis.call('HINCRBY', KEYS[1], 'revision', 1)
"""

REPLACE_DAMAGED_ADAPTER = """
-- KEYS adapter; ARGV how many fields there were (-1 if it was no hash), each with its value, then each that shall be
local fields = tonumber(ARGV[1])
local found = redis.pcall('HLEN', KEYS[1])
if type(found) == 'table' then
  if not string.find(found.err, 'WRONGTYPE', 1, true) then return found end
  found = -1
end
if found ~= fields then return 0 end
fields = math.max(fields, 0)
for place = 2, 2 * fields, 2 do
  if redis.call('HGET', KEYS[1], ARGV[place]) ~= ARGV[place + 1] then return 0 end
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2 * fields + 2))
return 1
"""

ENLIST_DOMAIN = """
-- KEYS domains, store; ARGV domain, backbone, the store's id ('' if it is not known yet), an id if it has none
-- Answers the store's id and the backbone that all domains are bound to; nothing is written to another store.
local store = redis.call('GET', KEYS[2]) or ''
if ARGV[3] ~= '' and store ~= ARGV[3] then return {store, ''} end
if store == '' then
  store = ARGV[4]
  redis.call('SET', KEYS[2], store)
end
for _, bound in ipairs(redis.call('HVALS', KEYS[1])) do
  if bound ~= ARGV[2] then return {store, bound} end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return {store, ARGV[2]}
"""
