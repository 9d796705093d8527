import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Ledger } from '../../lib/testing/ledger.ts';
import { processesOf } from '../../lib/testing/machine.ts';
import type { ContainerSpec } from './container-spec.ts';
import { createEngine } from './engine.ts';
import { isSameProcess, processStartTime } from './kernel/process-identity.ts';
import { makeBusyboxLayer, missingForContainers } from './testing/busybox-layer.ts';
import { engineOptions, engineScope, makeSpec, says } from './testing/engine-world.ts';
import { type RemoteContainer, RemoteEngine } from './testing/remote-engine.ts';

const skip = missingForContainers() ?? false;
const DISK_BYTES = 16 * 1024 * 1024;
const TRIES_MAX = 100;

describe('a host that lacks something', { skip }, () => {
  test('a full disk fails starts, not what runs; room on it is all that is needed', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'hearth-full-'));
    const layer = makeBusyboxLayer(join(folder, 'layer'));
    const options = engineOptions(folder);
    const ledger = new Ledger(engineScope(options));
    mkdirSync(options.stateDir);
    const size = `size=${DISK_BYTES},mode=0700`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'hearth-full', options.stateDir]);
    t.after(() => {
      execFileSync('umount', [options.stateDir]);
      rmSync(folder, { recursive: true, force: true });
    });
    const engine = await createEngine(options);
    t.after(() => engine.close());
    await engine.adopt();
    const print = 'busybox mkfifo /f; exec 5<>/f; while :; do echo line; read -t 0.05 x <&5; done';
    const running = await engine.start(makeSpec(layer, ['sh', '-c', print]));

    const filler = join(options.stateDir, 'filler');
    fill(filler);
    const before = readdirSync(join(options.stateDir, 'containers'));
    for (let n = 0; n < 5; n++) {
      await assert.rejects(engine.start(makeSpec(layer, ['true'])), {
        code: 'StorageFull',
        hint: /free space/,
      });
    }
    assert.deepEqual(readdirSync(join(options.stateDir, 'containers')), before);
    assert.match(await says(running, /line\n/), /line/);

    rmSync(filler);
    const next = await engine.start(makeSpec(layer, ['true']));
    assert.equal((await next.exited).code, 0);
    await next.remove();
    await running.remove();
    await engine.close();
    execFileSync('umount', [options.stateDir]);
    rmSync(options.stateDir, { recursive: true });
    await ledger.assertBalanced();
    // For the clean-up, which finds it as it would after a failure
    mkdirSync(options.stateDir);
    execFileSync('mount', ['-t', 'tmpfs', 'hearth-full', options.stateDir]);
  });

  for (const who of ['engine', 'launcher'] as const) {
    test(`no free descriptor in the ${who} fails starts, not what runs`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'hearth-emfile-'));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      const layer = makeBusyboxLayer(join(folder, 'layer'));
      const options = { ...engineOptions(folder), networkSlots: 0, blanks: 0 };
      const ledger = new Ledger(engineScope(options));
      const engine = new RemoteEngine(options);
      t.after(() => engine.crash());
      await engine.adopt();
      const running = await engine.start(makeSpec(layer, ['sleep', '600']));
      const startTime = processStartTime(running.pid);
      const [launcher = 0] = processesOf(`--engine=${options.name}`).filter(
        (pid) => parentOf(pid) === engine.child.pid,
      );
      const pid = who === 'engine' ? (engine.child.pid ?? 0) : launcher;
      const free = leaveNoDescriptor(pid);
      await assert.rejects(engine.start(makeSpec(layer, ['true'])), { code: 'NoCapacity' });
      assert.ok(isSameProcess(running.pid, startTime));
      free();
      const next = await startAgain(engine, () => makeSpec(layer, ['true']));
      assert.equal((await engine.exited(next.id)).code, 0);
      for (const { id } of [next, running]) await engine.remove(id);
      await engine.close({ keepContainers: false });
      await ledger.assertBalanced();
    });
  }
});

/** Until the kernel says that nothing fits any more. */
function fill(path: string): void {
  for (const bytes of [1024 * 1024, 4096]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' });
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Sets the soft limit to the lowest free number; answers how to take that back. */
function leaveNoDescriptor(pid: number): () => void {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let lowest = 0;
  while (open.has(lowest)) lowest += 1;
  const set = (limit: number | string) =>
    execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${limit}:`]);
  set(lowest);
  return () => void set(1024);
}

async function startAgain(
  engine: RemoteEngine,
  spec: () => ContainerSpec,
): Promise<RemoteContainer> {
  for (let tries = 1; ; tries++) {
    try {
      return await engine.start(spec());
    } catch (error) {
      if (tries === TRIES_MAX) throw error;
      await delay(50);
    }
  }
}
