import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerOutput } from './output.ts';

const MIB = 1024 * 1024;

/** Reads two FIFOs of the test's own. */
function outputFor(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-output-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const paths = { stdout: join(folder, 'stdout'), stderr: join(folder, 'stderr') };
  execFileSync('mkfifo', [paths.stdout, paths.stderr]);
  const output = new ContainerOutput(paths);
  output.begin();
  t.after(() => output.close());
  return { output, paths };
}

test('a flood is read whole, but so much in a while only', async (t) => {
  const { output, paths } = outputFor(t);
  let bytes = 0;
  let most = 0;
  const beganMs = performance.now();
  output.listen((_, chunk) => {
    bytes += chunk.length;
    // A window's worth and one chunk, for each window that has begun
    const windows = Math.floor((performance.now() - beganMs) / 50) + 2;
    most = Math.max(most, bytes / (windows * 1.1 * MIB));
  });
  const script = 'head -c 8388608 /dev/zero > "$1"; : > "$2"';
  const child = spawn('sh', ['-c', script, 'sh', paths.stdout, paths.stderr]);
  await once(child, 'close');
  await output.ended();
  assert.equal(bytes, 8 * MIB);
  assert.ok(most <= 1, `read ${most} of what is allowed`);
});

test('what is written before anybody listens waits, to the last byte', async (t) => {
  const { output, paths } = outputFor(t);
  const script = 'head -c 3145728 /dev/zero > "$1"; echo late > "$2"';
  const child = spawn('sh', ['-c', script, 'sh', paths.stdout, paths.stderr]);
  const closed = once(child, 'close');
  await delay(200);
  const bytes = { stdout: 0, stderr: 0 };
  output.listen((stream, chunk) => {
    bytes[stream] += chunk.length;
  });
  await closed;
  await output.ended();
  assert.deepEqual(bytes, { stdout: 3 * MIB, stderr: 5 });
});
