import { AT_FDCWD, O_CLOEXEC, O_PATH } from '../kernel/linux-constants.ts';
import type { Syscalls } from '../kernel/syscall-types.ts';
import { fakeSyscalls } from '../kernel/syscalls-fake.ts';
import { becomeProgram } from './blank.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { becomeInit } from './init/init.ts';
import { becomeBlank, leaveHost } from './isolate.ts';
import type { BlankPlan, StartPlan } from './messages.ts';
import type { UserNamespaces } from './user-namespaces.ts';

/** A plan that takes every branch of an ordinary start. */
const PLAN: StartPlan = {
  id: 'rehearsal',
  hostname: 'rehearsal',
  layers: ['/a', '/b'],
  upper: { kind: 'memory', bytes: 1, inodes: 1 },
  skeleton: [{ path: 'etc', kind: 'folder', mode: 0o755 }],
  files: [{ target: '/etc/hosts', text: '\n' }],
  binds: [],
  mounts: [
    { kind: 'host', title: 'v', root: '/v', path: 'v', target: '/v', readOnly: true, fill: false },
    { kind: 'tmpfs', title: 't', target: '/t', sizeBytes: 1, inodes: 1 },
  ],
  uidBase: 1,
  user: { uid: 0, gid: 0, groups: [] },
  capabilities: [],
  netns: '/n',
  argv: ['run'],
  env: ['PATH=/bin'],
  cwd: '/',
  openFiles: 1,
  stdout: '/o',
  stderr: '/e',
  status: '/s',
  listenPath: '/l',
};

const BLANK: BlankPlan = {
  name: 'rehearsal',
  stagingDir: '/s',
  uidBase: 1,
  exitFile: '/x',
  cgroups: ['/c'],
  cgroupViews: [{ name: 'memory', path: '/c' }],
};

const INIT = { program: 1, netns: 1 };
const DOORS = { hostRoot: 0, hostMounts: 0 };
const NOBODY = -1;
const NO_FD = -1;

/** A call of each kind that a start makes, which changes nothing whoever calls. */
const HARMLESS: readonly ((sys: Syscalls) => void)[] = [
  (sys) => sys.close(sys.openat2(AT_FDCWD, '/', { flags: O_PATH | O_CLOEXEC, resolve: 0 })),
  (sys) => sys.setns(NO_FD, 0),
  (sys) => sys.dup3(NO_FD, NO_FD, 0),
  (sys) => sys.fchdir(NO_FD),
  (sys) => sys.chdir('/'),
  (sys) => void sys.getcwd(),
  (sys) => sys.mount(null, '', null, 0, null),
  (sys) => sys.moveMount(NO_FD, '', NO_FD, '', 0),
  (sys) => void sys.openTree(NO_FD, '', 0),
  (sys) => sys.mountSetattr(NO_FD, '', 0, { set: 0 }),
  (sys) => sys.pivotRoot('', ''),
  (sys) => sys.umount2('', 0),
  (sys) => sys.mkdirat(NO_FD, 'x', 0),
  (sys) => sys.fchownat(NO_FD, 'x', NOBODY, NOBODY, 0),
  (sys) => sys.fchmodat(NO_FD, 'x', 0),
  (sys) => sys.unlinkat(NO_FD, 'x', 0),
  (sys) => sys.bindUnix(NO_FD, 'x'),
  (sys) => sys.listen(NO_FD, 0),
  (sys) => sys.sethostname('x'.repeat(HOSTNAME_MAX + 1)),
  (sys) => sys.setrlimit(-1, 0, 0),
  (sys) => sys.setgroups(new Array(GROUPS_MAX + 1).fill(0)),
  (sys) => sys.setresgid(NOBODY, NOBODY, NOBODY),
  (sys) => sys.setresuid(NOBODY, NOBODY, NOBODY),
  // The kernel gives no more than what is permitted
  (sys) => sys.capset({ effective: 1n, permitted: 0n, inheritable: 0n }),
  (sys) => sys.setfsgid(NOBODY),
  (sys) => sys.setfsuid(NOBODY),
  (sys) => sys.seccompSetFilter(Buffer.alloc(0)),
  (sys) => sys.closeRange(1, 0, 0),
  (sys) => sys.execve('', ['x'], ['x']),
];

/** Until V8 has done what it does with code that runs often: else a start waits for that. */
const TIMES = 12;
/** sethostname(2), setgroups(2) */
const [HOSTNAME_MAX, GROUPS_MAX] = [64, 65_536];

/**
 * Walks the whole way of a container on a kernel that only writes down what it is asked, and calls
 * the real one with what it must refuse. V8 compiles a function when it is first called: done here
 * once, every fork has it, instead of each compiling it while a request waits.
 */
export function rehearse(sys: Syscalls, filter: Buffer): void {
  for (let time = 0; time < TIMES; time++) {
    const fake = fakeSyscalls().sys;
    untilExecuted(() => {
      leaveHost(fake, BLANK, () => {});
      becomeInit(fake, INIT, { exitFd: 1, userns: 0, filter });
    });
    untilExecuted(() => void becomeBlank(fake, BLANK, { ...DOORS, step: () => {} }));
    rehearseStart(filter);
    for (const call of HARMLESS) untilExecuted(() => call(sys));
  }
}

/** The part between a plan that arrives and its program. */
export function rehearseStart(filter: Buffer): void {
  const { sys } = fakeSyscalls();
  const context = {
    sys,
    filter,
    listenerFilter: filter,
    init: INIT,
    holder: { code: 0n, stack: Buffer.alloc(0) },
    rehearse: () => {},
    users: {} as UserNamespaces,
  };
  const given = { ...DOORS, staging: 1, userns: 0, outcomeFd: 1, step: () => {} };
  const [plan] = new FrameReader().push(encodeFrame(PLAN));
  untilExecuted(() => becomeProgram(context, plan as StartPlan, given));
}

function untilExecuted(become: () => void): void {
  try {
    become();
  } catch {
    // The fake's execve has no program to go on with, and the kernel refused
  }
}
