import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../../lib/limits.ts';
import { readDropped } from '../output/spill.ts';
import { Drainer } from './drainer.ts';

/** What may be read of one stream in a window of 50 ms, and the chunk that went beyond it. */
const WINDOW_MS = 50;
const WINDOW_BYTES = 1.1 * MIB;
const FLOOD_BYTES = 8 * MIB;
const TRIES_MAX = 1_000;

test('what one container says takes no more of a reader that is outside of its limits than with an engine', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-drainer-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const container = join(folder, 'c');
  mkdirSync(container);
  for (const name of ['stdout', 'stderr']) execFileSync('mkfifo', [join(container, name)]);
  // As a container has it, before any drainer: one that finds no writer takes the stream for ended
  const pipe = openSync(join(container, 'stdout'), 'r+');
  const flood = spawn('dd', ['if=/dev/zero', 'bs=64k'], { stdio: ['ignore', pipe, 'ignore'] });
  closeSync(pipe);
  const beganMs = performance.now();
  const drainer = new Drainer(folder, () => {});
  const ended = new Promise((resolve) => flood.once('close', resolve));
  const droppedBytes = (): number => {
    drainer.save();
    return readDropped(container).stdout;
  };
  for (let n = 0; n < TRIES_MAX && droppedBytes() < FLOOD_BYTES; n++) await sleep(10);
  flood.kill('SIGKILL');
  drainer.close();
  const windows = Math.floor((performance.now() - beganMs) / WINDOW_MS) + 2;
  await ended;
  const { stdout } = readDropped(container);
  assert.ok(stdout >= FLOOD_BYTES, `${stdout} bytes were read`);
  assert.ok(stdout <= windows * WINDOW_BYTES, `${stdout} bytes in ${windows} windows`);
});
