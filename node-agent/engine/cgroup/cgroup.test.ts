import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { detectCgroupLayout, EngineCgroups } from './cgroup.ts';

/** Why no v2 tree with controllers can be changed here; undefined if one can. */
function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  return detectCgroupLayout().version === 'v2' ? undefined : 'needs a pure cgroup v2 machine';
}

/** A cgroup as a container has it: controllers from above, and a process inside. */
async function containerCgroup(t: TestContext): Promise<{ root: string; child: ChildProcess }> {
  const top = detectCgroupLayout().v2 ?? '';
  writeFileSync(`${top}/cgroup.subtree_control`, '+memory +cpu +pids');
  const root = `${top}/hearth-test-${process.pid}`;
  mkdirSync(root);
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    for (const folder of [`${root}/init`, root]) rmdirSync(folder);
  });
  await once(child, 'spawn');
  writeFileSync(`${root}/cgroup.procs`, `${child.pid}`);
  return { root, child };
}

test('in a tree whose top holds processes, as in a container, they move to a leaf', {
  skip: missing() ?? false,
}, async (t) => {
  const { root, child } = await containerCgroup(t);
  const cgroups = new EngineCgroups({ version: 'v2', v1: {}, v2: root }, 'engine');
  assert.equal(readFileSync(`${root}/init/cgroup.procs`, 'utf8'), `${child.pid}\n`);
  const cgroup = cgroups.create('c-1');
  const memoryBytes = 64 * 1024 ** 2;
  const rest = { diskBytes: memoryBytes, openFiles: 64 };
  cgroups.limit(cgroup, { memoryBytes, cpuMillis: 500, pids: 20, ...rest });
  const file = (name: string): string =>
    readFileSync(`${cgroup.folders[0]}/${name}`, 'utf8').trim();
  assert.deepEqual(['memory.max', 'cpu.max', 'pids.max'].map(file), [
    '67108864',
    '50000 100000',
    '21',
  ]);
  await cgroup.remove();
  cgroups.removeAll();
});
