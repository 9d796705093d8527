import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { withoutLostLog } from './quickstart.ts';

test('no hint names a log that is removed with the data root', () => {
  const details = { logTail: ['fatal failed: no luck'] };
  const lost = new HearthError('PlatformUnavailable', 'gateway did not start', {
    hint: 'the whole log is /var/tmp/q/run/gateway.log',
    details,
  });
  const told = withoutLostLog(lost, '/var/tmp/q') as HearthError;
  assert.equal(told.message, lost.message);
  assert.equal(told.hint, 'HEARTH_DATA_ROOT=DIR npm run quickstart keeps the logs, in DIR/run');
  assert.deepEqual(told.details, details);
  for (const other of [lost, new HearthError('Conflict', 'port 1 is in use'), new Error('x')]) {
    assert.equal(withoutLostLog(other, '/elsewhere'), other);
  }
});
