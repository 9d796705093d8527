import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { hasRoom } from './run-step.ts';

test('a disk has room while there is some for bytes and for names', () => {
  const disk = { bsize: 4096, bavail: LIMITS.buildFreeBytesMin / 4096, files: 1e6, ffree: 1e5 };
  assert.equal(hasRoom(disk), true);
  assert.equal(hasRoom({ ...disk, bavail: disk.bavail - 1 }), false);
  assert.equal(hasRoom({ ...disk, ffree: LIMITS.buildFreeFilesMin - 1 }), false);
  assert.equal(hasRoom({ ...disk, files: 0, ffree: 0 }), true);
});
