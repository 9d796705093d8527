import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { logTail, openLogFile, readableLine } from './log-file.ts';

function logPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-log-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'gateway.log');
}

test('openLogFile() keeps a log that has grown too large once, as .1', (t) => {
  const path = logPath(t);
  writeFileSync(path, '');
  truncateSync(path, LIMITS.logFileBytesMax + 1);
  closeSync(openLogFile(path));
  assert.equal(statSync(path).size, 0);
  assert.equal(statSync(`${path}.1`).size, LIMITS.logFileBytesMax + 1);
});

test('logTail() gives the last lines of this run, as people read them', (t) => {
  const path = logPath(t);
  writeFileSync(path, 'old\n');
  const from = statSync(path).size;
  const line = JSON.stringify({ level: 'fatal', msg: 'failed', err: { message: 'no luck' } });
  writeFileSync(path, `a\nb\n${line}\n`, { flag: 'a' });
  assert.deepEqual(logTail(path, { from, lines: 2 }), ['b', 'fatal failed: no luck']);
});

test('readableLine() leaves what is not a log line of ours as it is', () => {
  assert.equal(readableLine('{"a":1}'), '{"a":1}');
  assert.equal(readableLine('# Redis 7'), '# Redis 7');
});
