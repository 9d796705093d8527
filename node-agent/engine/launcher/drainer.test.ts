import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../../lib/limits.ts';
import { readDropped } from '../output/spill.ts';
import { Drainer } from './drainer.ts';

const FLOOD_MS = 500;

test('what one container says takes no more of a reader that is outside of its limits than with an engine', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-drainer-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const container = join(folder, 'c');
  mkdirSync(container);
  for (const name of ['stdout', 'stderr']) execFileSync('mkfifo', [join(container, name)]);
  const drainer = new Drainer(folder, () => {});
  const flood = spawn('dd', ['if=/dev/zero', `of=${join(container, 'stdout')}`, 'bs=64k'], {
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => flood.once('close', resolve));
  await sleep(FLOOD_MS);
  flood.kill('SIGKILL');
  drainer.close();
  await ended;
  const { stdout } = readDropped(container);
  // 20 MiB a second, and a window more
  assert.ok(stdout > 0 && stdout < 16 * MIB, `${stdout} bytes`);
});
