import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ContainerResources } from '../container-spec.ts';
import { type CgroupLayout, hierarchies, parseCgroupLayout } from './cgroup-layout.ts';
import { changedWrites, planLimits, sharesOf } from './cgroup-limits.ts';
import { containerFolder, planCgroup, planEngineCgroup } from './cgroup-plan.ts';

const V1 = `cgroup /c/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /c/memory cgroup rw,memory 0 0
cgroup /c/pids cgroup rw,pids 0 0
cgroup /c/freezer cgroup rw,freezer 0 0
cgroup /c/cpuset cgroup rw,cpuset 0 0
`;
const HYBRID = `${V1}cgroup2 /c/unified cgroup2 rw 0 0\n`;
const PURE = 'cgroup2 /c cgroup2 rw,nsdelegate 0 0\n';
const RESOURCES = { memoryBytes: 1000, cpuMillis: 250, pids: 7, diskBytes: 1, openFiles: 1 };

function layoutOf(mounts: string, controllers = ''): CgroupLayout {
  const layout = parseCgroupLayout(mounts, controllers);
  assert.ok(layout !== undefined);
  return layout;
}

/** Value by path without the container's folder: `memory memory.max`. */
function limitsOf(
  layout: CgroupLayout,
  more: Partial<ContainerResources> = {},
): Record<string, string> {
  const writes = planLimits(layout, containerFolder('e', 'c'), { ...RESOURCES, ...more });
  return Object.fromEntries(
    writes.map(({ path, value }) => [path.slice(3).replace('hearth/e/c/', ''), value]),
  );
}

test('a hybrid machine has its limits on v1, its kill switch and freezer on v2', () => {
  const layout = layoutOf(HYBRID);
  assert.deepEqual(Object.keys(layout.v1).sort(), ['cpu', 'freezer', 'memory', 'pids']);
  const plan = planCgroup(layout, 'e', 'c');
  assert.equal(plan.killFile, '/c/unified/hearth/e/c/cgroup.kill');
  assert.deepEqual(plan.freezer, { version: 'v2', folder: '/c/unified/hearth/e/c' });
  assert.equal(plan.files.memoryEvents, '/c/memory/hearth/e/c/memory.oom_control');
  assert.deepEqual(plan.files.cpuUsage, ['/c/unified/hearth/e/c/cpu.stat']);
  assert.equal(plan.files.cpuThrottle, '/c/cpu,cpuacct/hearth/e/c/cpu.stat');
  assert.equal(plan.emptyFile, '/c/memory/hearth/e/c/memory.force_empty');
  assert.deepEqual(limitsOf(layout), {
    'memory/memory.limit_in_bytes': '1000',
    'memory/memory.memsw.limit_in_bytes': '1000',
    'memory/memory.kmem.tcp.limit_in_bytes': '250',
    'cpu,cpuacct/cpu.cfs_period_us': '100000',
    'cpu,cpuacct/cpu.cfs_quota_us': '25000',
    'pids/pids.max': '8',
  });
});

test('a pure v1 machine joins each hierarchy once, counts by cpuacct and freezes by its freezer', () => {
  const layout = layoutOf(V1);
  assert.deepEqual(hierarchies(layout), ['/c/cpu,cpuacct', '/c/memory', '/c/pids', '/c/freezer']);
  const plan = planCgroup(layout, 'e', 'c');
  assert.equal(plan.killFile, undefined);
  assert.equal(plan.forkLimit, '/c/pids/hearth/e/c/pids.max');
  assert.deepEqual(plan.freezer, { version: 'v1', folder: '/c/freezer/hearth/e/c' });
  assert.deepEqual(
    plan.files.cpuUsage.map((path) => path.replace('/c/cpu,cpuacct/hearth/e/c/', '')),
    ['cpuacct.usage', 'cpuacct.usage_user', 'cpuacct.usage_sys'],
  );
});

test('a pure v2 machine has everything in one folder, with controllers switched on above it', () => {
  const layout = layoutOf(PURE, 'cpuset cpu io memory pids\n');
  assert.deepEqual(layout.v1, {});
  const plan = planCgroup(layout, 'e', 'c');
  assert.deepEqual(plan.folders, ['/c/hearth/e/c']);
  assert.equal(plan.files.memoryPeak, '/c/hearth/e/c/memory.peak');
  assert.equal(plan.emptyFile, undefined);
  assert.deepEqual(limitsOf(layout), {
    'memory.max': '1000',
    'memory.swap.max': '0',
    'memory.oom.group': '1',
    'cpu.max': '25000 100000',
    'pids.max': '8',
  });
  const enabled = planEngineCgroup(layout, 'e').flatMap(({ writes }) =>
    writes.map(({ path }) => path),
  );
  assert.deepEqual(
    enabled,
    ['', '/hearth', '/hearth/e'].map((part) => `/c${part}/cgroup.subtree_control`),
  );
});

test('swap and weight are said in each version’s words', () => {
  const more = { swapBytes: 500, cpuWeight: 200 };
  const v2 = limitsOf(layoutOf(PURE, 'memory cpu pids'), more);
  assert.deepEqual([v2['memory.swap.max'], v2['cpu.weight']], ['500', '200']);
  const v1 = limitsOf(layoutOf(HYBRID), more);
  assert.deepEqual(
    [v1['memory/memory.memsw.limit_in_bytes'], v1['cpu,cpuacct/cpu.shares']],
    ['1500', '2048'],
  );
});

test('a weight of v2 is as many shares of v1 as the kernel gives it', () => {
  assert.deepEqual([1, 100, 250, 10_000].map(sharesOf), [10, 1024, 2560, 102_400]);
});

test('what a kernel may lack is optional, the limits themselves are not', () => {
  const optional = [layoutOf(PURE, 'memory cpu pids'), layoutOf(HYBRID)].map((layout) =>
    planLimits(layout, containerFolder('e', 'c'), { ...RESOURCES, cpuWeight: 1 })
      .filter((write) => write.optional === true)
      .map(({ path }) => path.slice(path.lastIndexOf('/') + 1)),
  );
  assert.deepEqual(optional, [
    ['memory.swap.max', 'memory.oom.group', 'cpu.weight'],
    ['memory.memsw.limit_in_bytes', 'memory.kmem.tcp.limit_in_bytes', 'cpu.shares'],
  ]);
});

test('no program of the host runs when a v1 cgroup empties; a v2 tree has no such file', () => {
  const writes = planEngineCgroup(layoutOf(HYBRID), 'e').flatMap((folder) => folder.writes);
  assert.equal(writes.length, 8);
  assert.ok(
    writes.every(({ path, value }) => path.endsWith('/notify_on_release') && value === '0'),
  );
  assert.ok(!writes.some(({ path }) => path.includes('/unified/')));
});

test('without a memory controller there is no layout', () => {
  assert.equal(parseCgroupLayout('cgroup2 /c cgroup2 rw 0 0\n', ''), undefined);
  const plan = planCgroup(layoutOf('cgroup /c/m cgroup rw,memory 0 0\n'), 'e', 'c');
  assert.deepEqual([plan.killFile, plan.freezer, plan.files.cpuUsage], [undefined, undefined, []]);
});

test('limits that stand already are not written again; memory of v1 grows after memory with swap', () => {
  const plan = (memoryBytes: number): ReturnType<typeof planLimits> =>
    planLimits(layoutOf(HYBRID), containerFolder('e', 'c'), { ...RESOURCES, memoryBytes });
  const written = new Map(plan(1000).map(({ path, value }) => [path, value]));
  const changed = (memoryBytes: number): string[] =>
    changedWrites(plan(memoryBytes), written).map(({ path }) => path.slice(path.lastIndexOf('/')));
  assert.deepEqual(changed(1000), []);
  const [memory, both] = ['/memory.limit_in_bytes', '/memory.memsw.limit_in_bytes'];
  const tcp = '/memory.kmem.tcp.limit_in_bytes';
  assert.deepEqual(changed(400), [memory, both, tcp]);
  assert.deepEqual(changed(4000), [both, tcp, memory]);
  assert.deepEqual(changedWrites(plan(4000), new Map()), plan(4000));
});
