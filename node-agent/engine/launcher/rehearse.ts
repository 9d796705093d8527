import { fakeSyscalls } from '../syscalls-fake.ts';
import { becomeProgram } from './blank.ts';
import { becomeInit } from './init.ts';
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

const TIMES = 3;

/**
 * Walks the whole way of a container on a kernel that only writes down what it is asked. V8 compiles
 * a function when it is first called: done here once, every fork has it, instead of each compiling
 * it while a request waits.
 */
export function rehearse(filter: Buffer): void {
  for (let time = 0; time < TIMES; time++) {
    const { sys } = fakeSyscalls();
    const context = {
      sys,
      filter,
      listenerFilter: filter,
      init: INIT,
      users: {} as UserNamespaces,
    };
    const step = (): void => {};
    untilExecuted(() => {
      leaveHost(sys, BLANK, step);
      becomeInit(sys, INIT, { exitFd: 1, userns: 0, filter });
    });
    untilExecuted(() => {
      const view = becomeBlank(sys, BLANK, { hostRoot: 0, hostMounts: 0, step });
      becomeProgram(context, PLAN, { ...view, userns: 0, outcomeFd: 1, step });
    });
  }
}

function untilExecuted(become: () => void): void {
  try {
    become();
  } catch {
    // The fake's execve has no program to go on with
  }
}
