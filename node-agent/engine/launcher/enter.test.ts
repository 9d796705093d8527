import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Syscalls } from '../kernel/syscall-types.ts';
import {
  FakeEnd,
  type FakeOptions,
  fakeSyscalls,
  type RecordedCall,
} from '../kernel/syscalls-fake.ts';
import type { LauncherContext } from './blank.ts';
import { liveEntered } from './enter.ts';
import type { EnterPlan, FileWork, ProgramWork } from './enter-messages.ts';

const FILE = { device: 1, inode: 7 };
const NAMESPACES = 0x6e020000;
const PIDFD = 20;
const FILTER = Buffer.from('plain');
const LISTENER_FILTER = Buffer.from('listener');

const PROGRAM: ProgramWork = {
  kind: 'program',
  argv: ['/run'],
  env: ['A=b'],
  cwd: '/work',
  streams: { stdin: { fd: 50, ...FILE }, stdout: { fd: 51, ...FILE }, stderr: { fd: 52, ...FILE } },
};

const FILES: FileWork = {
  kind: 'files',
  input: { fd: 50, ...FILE },
  output: { fd: 51, ...FILE },
  task: { action: 'stat', path: '/', follow: true },
};

function enter(work: EnterPlan['work'], options: FakeOptions = {}, more: Partial<EnterPlan> = {}) {
  const { sys, calls } = fakeSyscalls({
    fail: options.fail ?? {},
    results: {
      fstat: FILE,
      read: 1,
      write: (_: number, data: Buffer) => data.length,
      ...options.results,
    },
  });
  const context = { sys, filter: FILTER, listenerFilter: LISTENER_FILTER } as LauncherContext;
  const plan: EnterPlan = {
    id: '0123456789abcdef',
    target: { pid: 9, startTime: '1' },
    cgroups: ['/cg/a', '/cg/b'],
    user: { uid: 5, gid: 6, groups: [7] },
    capabilities: [1],
    openFiles: 64,
    listener: false,
    enginePid: 4,
    work,
    ...more,
  };
  const given = { pidfd: PIDFD, outcomeFd: 21, goFd: 22 };
  assert.throws(() => liveEntered(context, plan, given), FakeEnd);
  return calls;
}

function positions(calls: RecordedCall[], call: keyof Syscalls): number[] {
  return calls.flatMap((made, n) => (made.call === call ? [n] : []));
}

/** Positions rise: each call is the first or, with a number, the nth of its name. */
function inOrder(
  calls: RecordedCall[],
  names: readonly (keyof Syscalls | [keyof Syscalls, number])[],
) {
  let last = -1;
  for (const name of names) {
    const [call, nth] = typeof name === 'string' ? [name, 0] : name;
    const at = positions(calls, call).at(nth) ?? -1;
    assert.ok(at > last, `${call} at ${at}, not after ${last}`);
    last = at;
  }
}

test('a process hides, joins, enters, becomes the user and loads the filter, and forks last', () => {
  const calls = enter(PROGRAM);
  assert.deepEqual(calls[0], { call: 'prctl', args: [4, 0] });
  inOrder(calls, [
    'prctl',
    'closeRange',
    'openat',
    'setns',
    ['setns', 1],
    'setgroups',
    'setresuid',
    'capset',
    'seccompSetFilter',
    'cloneSibling',
    ['setsid', 1],
    'dup3',
    ['closeRange', -1],
    'fchdir',
    'getcwd',
    'execve',
  ]);
  assert.deepEqual(calls.find(({ call }) => call === 'execve')?.args, ['/run', ['/run'], ['A=b']]);
});

test('cgroups and the engine’s pipes are opened by the host’s paths, before any namespace', () => {
  const calls = enter(PROGRAM);
  const paths = calls.filter(({ call }) => call === 'openat').map(({ args }) => args[1]);
  const expected = ['/proc/4/fd/50', '/proc/4/fd/51', '/proc/4/fd/52'];
  const written = ['/proc/self/oom_score_adj', '/cg/a/cgroup.procs', '/cg/b/cgroup.procs'];
  assert.deepEqual(paths, [...expected, ...written]);
  assert.ok((positions(calls, 'openat').at(-1) ?? 0) < (positions(calls, 'setns')[0] ?? 0));
});

test('all namespaces are entered at once, the user’s last, by the same descriptor', () => {
  const entered = enter(PROGRAM).filter(({ call }) => call === 'setns');
  assert.equal(entered.length, 2);
  assert.equal(entered[0]?.args[1], NAMESPACES);
  assert.equal(entered[1]?.args[1], 0x10000000);
  assert.equal(entered[0]?.args[0], entered[1]?.args[0]);
});

test('nothing can look into it after its ids changed', () => {
  const calls = enter(PROGRAM);
  const hides = positions(calls, 'prctl').filter((n) => calls[n]?.args[0] === 4);
  assert.equal(hides.length, 2);
  assert.ok((hides[1] ?? 0) > (positions(calls, 'setresuid')[0] ?? 0));
  assert.ok((hides[1] ?? 0) < (positions(calls, 'cloneSibling')[0] ?? 0));
});

test('the first process only says who the second is', () => {
  const calls = enter(PROGRAM, { results: { cloneSibling: 4711 } });
  const [word, end] = calls.slice(calls.findIndex(({ call }) => call === 'cloneSibling') + 1);
  assert.deepEqual([word?.call, String(word?.args[1])], ['write', 'r4711;']);
  assert.deepEqual(end, { call: 'exit', args: [0] });
});

test('without the launcher’s word nothing is executed', () => {
  const calls = enter(PROGRAM, { results: { read: 0 } });
  assert.deepEqual(calls.find(({ call }) => call === 'exit')?.args, [1]);
  assert.equal(positions(calls, 'execve').length, 0);
});

test('a container with a listener has the stricter filter', () => {
  const filterOf = (listener: boolean) =>
    enter(PROGRAM, {}, { listener }).find(({ call }) => call === 'seccompSetFilter')?.args[0];
  assert.equal(filterOf(false), FILTER);
  assert.equal(filterOf(true), LISTENER_FILTER);
});

test('a descriptor that means another file by now is not passed on', () => {
  const calls = enter(PROGRAM, { results: { fstat: { ...FILE, inode: 8 } } });
  assert.equal(positions(calls, 'setns').length, 0);
  assert.match(String(calls.at(-2)?.args[1]), /"step":"open streams".*has closed it/);
});

test('a working folder outside of the root ends it', () => {
  const calls = enter(PROGRAM, { results: { getcwd: '(unreachable)/etc' } });
  assert.equal(positions(calls, 'execve').length, 0);
  assert.match(String(calls.at(-2)?.args[1]), /outside of the root/);
});

for (const call of ['setns', 'capset', 'seccompSetFilter', 'setresuid', 'openat'] as const) {
  test(`it gives up when ${call} is refused`, () => {
    const calls = enter(PROGRAM, { fail: { [call]: 'EPERM' } });
    assert.equal(positions(calls, 'cloneSibling').length, 0);
    assert.deepEqual(calls.at(-1), { call: 'exit', args: [127] });
  });
}

test('a terminal becomes the session’s own, and all three streams', () => {
  const calls = enter({ ...PROGRAM, streams: { terminal: { fd: 50, ...FILE } } });
  inOrder(calls, ['cloneSibling', ['setsid', 1], 'ioctlValue', 'dup3', 'execve']);
  const copies = calls.filter(({ call }) => call === 'dup3').map(({ args }) => args);
  assert.deepEqual(
    copies.map(([, to]) => to),
    [0, 1, 2],
  );
  assert.equal(new Set(copies.map(([from]) => from)).size, 1);
});

test('a file service forks nobody, executes nothing, and has room for deep folders', () => {
  const calls = enter(FILES, { fail: { openat2: 'ENOENT' } });
  for (const call of ['cloneSibling', 'fork', 'execve', 'execveat'] as const) {
    assert.equal(positions(calls, call).length, 0, call);
  }
  inOrder(calls, ['setns', 'seccompSetFilter', 'openat2', 'exit']);
  const limits = calls.filter(({ call }) => call === 'setrlimit').map(({ args }) => args[1]);
  assert.deepEqual(limits, [1024, 0]);
});
