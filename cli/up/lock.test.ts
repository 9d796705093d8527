import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { takeLock } from './lock.ts';
import { identify } from './process-id.ts';

function lockPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-lock-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'up.lock');
}

test('takeLock() refuses a lock whose process lives, and releases its own', (t) => {
  const path = lockPath(t);
  const lock = takeLock(path, '/data');
  assert.throws(() => takeLock(path, '/data'), {
    code: 'Conflict',
    message: `hearth up already runs on /data (process ${process.pid})`,
  });
  lock.release();
  takeLock(path, '/data').release();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('takeLock() takes over from a process that is gone, also when its pid is in use again', (t) => {
  const path = lockPath(t);
  const stale = [
    JSON.stringify({ pid: 0x7ffffff0, startTicks: '1' }),
    JSON.stringify({ pid: process.pid, startTicks: '1' }),
    'not JSON',
    '',
  ];
  for (const text of stale) {
    writeFileSync(path, text);
    takeLock(path, '/data').release();
  }
});

test('identify() tells processes by their start', () => {
  assert.match(identify(process.pid)?.startTicks ?? '', /^\d+$/);
  assert.equal(identify(0x7ffffff0), undefined);
});
