import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ContainerOutput } from './output.ts';

const MIB = 1024 * 1024;

test('a flood is read whole, but so much in a while only', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-output-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const paths = { stdout: join(folder, 'stdout'), stderr: join(folder, 'stderr') };
  execFileSync('mkfifo', [paths.stdout, paths.stderr]);
  const output = new ContainerOutput(paths);
  output.begin();
  t.after(() => output.close());
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
