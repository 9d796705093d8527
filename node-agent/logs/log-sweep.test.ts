import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LIMITS } from '../../lib/limits.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { LogSweep } from './log-sweep.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-sweep-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

function makeLog(name: string, ageMs: number): void {
  mkdirSync(join(folder, name));
  const file = join(folder, name, 'current.ndjson');
  writeFileSync(file, '');
  const at = new Date(Date.now() - ageMs);
  utimesSync(file, at, at);
}

test('only old logs of functions that are gone are removed, and none while the store is away', async () => {
  const oldMs = LIMITS.logKeepMs + 60_000;
  makeLog('deployed', oldMs);
  makeLog('deleted', oldMs);
  makeLog('deleted-today', 60_000);
  let isAway = true;
  const sweep = new LogSweep({
    folder,
    log: silentLog(),
    functionNames: async () => {
      if (isAway) throw new Error('away');
      return ['deployed'];
    },
  });
  await sweep.run();
  assert.equal(readdirSync(folder).length, 3);
  isAway = false;
  await sweep.run();
  assert.deepEqual(readdirSync(folder).sort(), ['deleted-today', 'deployed']);
  sweep.stop();
});
