import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Syscalls } from '../kernel/syscall-types.ts';
import { FakeEnd, fakeSyscalls, type RecordedCall } from '../kernel/syscalls-fake.ts';
import { becomeProgram } from './blank.ts';
import { becomeBlank, isolate, leaveHost } from './isolate.ts';
import type { StartPlan } from './messages.ts';
import type { UserNamespaces } from './user-namespaces.ts';

const PLAN: StartPlan = {
  id: 'c1',
  hostname: 'box',
  layers: ['/layers/a', '/layers/b'],
  upper: { kind: 'memory', bytes: 1024, inodes: 64 },
  skeleton: [{ path: 'dev', kind: 'folder', mode: 0o755 }],
  files: [{ target: '/etc/hosts', text: 'x' }],
  binds: [],
  mounts: [],
  uidBase: 1_000_000,
  user: { uid: 5, gid: 6, groups: [7] },
  capabilities: [],
  netns: '/run/netns/n1',
  argv: ['/run'],
  env: [],
  cwd: '/',
  openFiles: 64,
  stdout: '/o',
  stderr: '/e',
};

function record(plan: StartPlan): RecordedCall[] {
  const { sys, calls } = fakeSyscalls();
  const blank = {
    name: 'b',
    stagingDir: '/staging',
    uidBase: plan.uidBase,
    exitFile: '/exits/b',
    cgroups: ['/cg/b'],
    cgroupViews: [{ name: 'memory', path: '/cg/b' }],
  };
  const doors = leaveHost(sys, blank, () => {});
  const view = becomeBlank(sys, blank, { ...doors, step: () => {} });
  const filter = Buffer.alloc(8);
  const init = { program: 20, netns: 21 };
  const holder = { code: 0n, stack: Buffer.alloc(0) };
  const context = {
    sys,
    init,
    holder,
    rehearse: () => {},
    filter,
    listenerFilter: filter,
    users: {} as UserNamespaces,
  };
  assert.throws(
    () => becomeProgram(context, plan, { ...view, userns: 9, outcomeFd: 1, step: () => {} }),
    FakeEnd,
  );
  return calls;
}

/** Position of the first call that matches; fails if there is none. */
function at(
  calls: RecordedCall[],
  call: keyof Syscalls,
  matches?: (args: readonly unknown[]) => boolean,
): number {
  const index = calls.findIndex((c) => c.call === call && (matches?.(c.args) ?? true));
  assert.notEqual(index, -1, call);
  return index;
}

test('isolation keeps its order', () => {
  const calls = record(PLAN);
  const order = [
    at(calls, 'prctl', ([option]) => option === 4),
    at(calls, 'setsid'),
    at(calls, 'openat', ([, path]) => String(path).endsWith('cgroup.procs')),
    at(calls, 'unshare', ([flags]) => flags === (0x20000 | 0x2000000 | 0x4000000 | 0x8000000)),
    at(calls, 'mount', ([, target, , flags]) => target === '/' && flags === (16384 | (1 << 18))),
    at(calls, 'fsopen', ([type]) => type === 'proc'),
    at(calls, 'setns', ([, type]) => type === 0x40000000),
    at(calls, 'openTree', ([, path]) => path === '/layers/a'),
    at(calls, 'mount', ([, , type]) => type === 'overlay'),
    at(calls, 'moveMount', ([, from]) => from === 'proc'),
    at(calls, 'pivotRoot'),
    at(calls, 'umount2', ([target]) => target === '.'),
    at(calls, 'setrlimit'),
    at(calls, 'setns', ([fd, type]) => fd === 9 && type === 0x10000000),
    at(calls, 'setgroups'),
    at(calls, 'setresgid'),
    at(calls, 'setresuid'),
    at(calls, 'capset'),
    at(calls, 'prctl', ([option]) => option === 38),
    at(calls, 'seccompSetFilter'),
  ];
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  );
});

test('nothing is mounted after the user namespace is entered', () => {
  const calls = record(PLAN);
  const entered = at(calls, 'setns', ([, type]) => type === 0x10000000);
  const later = new Set(calls.slice(entered).map(({ call }) => call));
  for (const call of ['mount', 'moveMount', 'openTree', 'fsmount', 'pivotRoot'] as const) {
    assert.equal(later.has(call), false, call);
  }
});

test('every layer is a read-only clone with the container’s ids, topmost first in the overlay', () => {
  const calls = record(PLAN);
  const cloned = calls.filter(({ args }) => String(args[1]).startsWith('/layers/'));
  assert.deepEqual(
    cloned.map(({ call, args }) => [call, args[1]]),
    [
      ['openTree', '/layers/a'],
      ['openTree', '/layers/b'],
    ],
  );
  const attributes = cloned.flatMap((clone) => calls.slice(calls.indexOf(clone) + 1)[0] ?? []);
  for (const { args } of attributes) assert.deepEqual(args[3], { set: 0x100000 | 7, userns: 9 });
  const overlay = calls[at(calls, 'mount', ([, , type]) => type === 'overlay')];
  assert.match(String(overlay?.args[4]), /^lowerdir=l1:l0:skeleton,upperdir=rw\/upper,/);
});

test('mounts over the image move onto descriptors that openat2 found inside the root', () => {
  const all = record(PLAN);
  const calls = all.slice(0, at(all, 'pivotRoot'));
  const targets = calls.filter(({ call }) => call === 'openat2').map(({ args }) => args);
  assert.deepEqual(
    targets.map(([, path]) => path),
    ['/etc/hosts', '/dev', '/proc', '/sys'],
  );
  for (const [, , how] of targets) assert.ok((how as { resolve: number }).resolve & 0x10);
  const staged = /^(l\d+|rw)$/;
  for (const { call, args } of calls) {
    if (call === 'moveMount')
      assert.ok(args[3] === '' || staged.test(String(args[3])), String(args[3]));
  }
});

test('an upper folder is mapped too, and the overlay is mounted as the owner of the range', () => {
  const calls = record({ ...PLAN, upper: { kind: 'folder', parent: '/builds', name: 'u1' } });
  assert.ok(calls.some(({ call, args }) => call === 'openTree' && args[1] === '/builds'));
  const overlay = at(calls, 'mount', ([, , type]) => type === 'overlay');
  assert.deepEqual(calls[overlay - 1], { call: 'setfsuid', args: [1_000_000] });
  assert.deepEqual(calls[overlay + 1], { call: 'setfsuid', args: [0] });
});

test('a build step keeps its capabilities as uid 0 only', () => {
  const sets = (plan: Partial<StartPlan>) => {
    const calls = record({ ...PLAN, capabilities: [0, 3], ...plan });
    return calls[at(calls, 'capset')]?.args[0];
  };
  const root = { uid: 0, gid: 0, groups: [] };
  assert.deepEqual(sets({ user: root }), { effective: 9n, permitted: 9n, inheritable: 0n });
  assert.deepEqual(sets({}), { effective: 0n, permitted: 0n, inheritable: 0n });
});

test('a socket is made in the container’s own network, never in the host’s', () => {
  for (const netns of [{ netns: '/run/netns/n1' }, {}]) {
    const { netns: _, ...plan } = PLAN;
    const calls = record({ ...plan, ...netns, listenPath: '/run/s' });
    const entered = calls.findIndex(
      ({ call, args }) =>
        (call === 'setns' && args[1] === 0x40000000) ||
        (call === 'unshare' && args[0] === 0x40000000),
    );
    assert.ok(entered !== -1 && entered < at(calls, 'socket', ([domain]) => domain === 1));
  }
});

test('a refused step stops isolation at once', () => {
  const { sys, calls } = fakeSyscalls({ fail: { pivotRoot: 'EINVAL' } });
  const steps: string[] = [];
  const inputs = {
    staging: 7,
    userns: 9,
    clones: [],
    filter: Buffer.alloc(8),
    step: (name: string) => void steps.push(name),
  };
  assert.throws(() => isolate(sys, PLAN, inputs), { code: 'EINVAL' });
  assert.equal(steps.at(-1), 'enter root');
  assert.equal(calls.at(-1)?.call, 'pivotRoot');
});

test('names are relative to the staging folder, whatever the working folder was before', () => {
  const { sys, calls } = fakeSyscalls();
  isolate(sys, PLAN, {
    staging: 7,
    userns: 9,
    clones: [],
    filter: Buffer.alloc(8),
    step: () => {},
  });
  const entered = at(calls, 'fchdir', ([fd]) => fd === 7);
  assert.ok(entered < at(calls, 'mkdirat'));
  assert.ok(!calls.slice(entered, at(calls, 'mkdirat')).some(({ call }) => call === 'chdir'));
});
