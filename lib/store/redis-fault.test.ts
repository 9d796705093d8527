import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HearthError } from '../errors.ts';
import { redisFault } from './redis-fault.ts';

/** Error replies as Redis 7.0.15 words them, and failures as ioredis 6 does. */
const ROWS: readonly (readonly [string, string])[] = [
  [
    'MISCONF Errors writing to the AOF file: No space left on device script: 5f2a, on @user_script:5.',
    'store is unavailable: Redis refuses writes as it cannot write to its disk',
  ],
  [
    "OOM command not allowed when used memory > 'maxmemory'. script: 5f2a, on @user_script:5.",
    'store is unavailable: Redis refuses writes as its memory limit is reached',
  ],
  [
    "READONLY You can't write against a read only replica.",
    'store is unavailable: Redis is a read-only replica',
  ],
  [
    'LOADING Redis is loading the dataset in memory',
    'store is unavailable: Redis is loading its data',
  ],
  ['NOAUTH Authentication required.', 'store is unavailable: Redis refuses the credentials'],
  [
    'WRONGPASS invalid username-password pair or user is disabled.',
    'store is unavailable: Redis refuses the credentials',
  ],
  ['Command timed out', 'store is unavailable: Redis did not answer in time'],
  ['Connection is closed.', 'store is unavailable: no connection to Redis'],
  [
    "Stream isn't writeable and enableOfflineQueue options is false",
    'store is unavailable: no connection to Redis',
  ],
  ['ERR unknown command', 'store is unavailable: ERR unknown command'],
];

describe('redisFault', () => {
  for (const [text, message] of ROWS) {
    it(`says "${message}"`, () => {
      const fault = redisFault(new Error(text), 'StoreUnavailable');
      assert.equal(fault.message, message);
      assert.ok(fault instanceof HearthError && fault.hint !== undefined);
    });
  }

  it('speaks of the queue where the queue was used', () => {
    const fault = redisFault(new Error('Command timed out'), 'QueueUnavailable');
    assert.equal((fault as HearthError).code, 'QueueUnavailable');
    assert.match(fault.message, /^queue is unavailable/);
  });

  it('leaves our own errors and faults of our code as they are', () => {
    const own = new HearthError('Conflict', 'x');
    assert.equal(redisFault(own, 'StoreUnavailable'), own);
    const bug = new TypeError('undefined is not a function');
    assert.equal(redisFault(bug, 'StoreUnavailable'), bug);
  });
});
