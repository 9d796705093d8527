/**
 * The two writes of records as Lua, so that comparing the version, writing the record and telling
 * the change are one step. Each stored field is `{"version":N,"record":{…}}`; versions come from
 * one counter of all kinds, so a watcher sees a lost change as a jump in them. The counter is written
 * first: where Redis refuses writes (MISCONF, OOM), it does so before anything is changed.
 *
 * KEYS: hash of the kind, stream of changes, counter.
 * ARGV: kind, id, expected version or '', bound of the stream, record as JSON (put only).
 */
const COMPARE = `
local current = redis.call('HGET', KEYS[1], ARGV[2])
local version = 0
if current then version = tonumber(string.match(current, '^{"version":(%d+)')) end
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= version then return {0, version} end
`;

/** Replies {1, new version}, or {0, stored version} when that is not the expected one. */
export const PUT_SCRIPT = `${COMPARE}
local new = redis.call('INCR', KEYS[3])
local value = string.format('{"version":%d,"record":', new) .. ARGV[5] .. '}'
redis.call('HSET', KEYS[1], ARGV[2], value)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*',
  'k', ARGV[1], 'i', ARGV[2], 'v', new, 'r', ARGV[5])
return {1, new}
`;

/** Replies {1, version of the removal}, {2, 0} when it was not there, or {0, stored version}. */
export const REMOVE_SCRIPT = `
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then return {2, 0} end
${COMPARE}
local new = redis.call('INCR', KEYS[3])
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'k', ARGV[1], 'i', ARGV[2], 'v', new)
return {1, new}
`;
