/**
 * The launcher: one single-threaded process that forks every container of an engine. It does nothing
 * but wait for requests on descriptor 3 and for the ends of processes. When the engine dies it leaves
 * the containers alone, and becomes the reader of what they say (drainer-main.ts).
 */
import { failpoint } from '../failpoints.ts';
import { PR_SET_CHILD_SUBREAPER, RLIMIT_NICE, RLIMIT_RTPRIO } from '../kernel/linux-constants.ts';
import { engineArch } from '../kernel/syscall-numbers.ts';
import { syscalls } from '../kernel/syscalls.ts';
import { containerFilter } from '../seccomp/seccomp.ts';
import { createInit } from './init/init.ts';
import { LauncherLoop } from './loop.ts';
import { createMemoryHolder } from './memory-holder.ts';
import { rehearse, rehearseStart } from './rehearse.ts';
import { UserNamespaces } from './user-namespaces.ts';

const CONTROL_FD = 3;

failpoint('launcher.begin');
const filter = containerFilter(engineArch());
const context = {
  sys: syscalls,
  users: new UserNamespaces(syscalls),
  init: createInit(syscalls, engineArch()),
  holder: createMemoryHolder(syscalls, engineArch()),
  filter,
  rehearse: () => rehearseStart(filter),
  listenerFilter: containerFilter(engineArch(), { listener: true }),
};
// A container that another runtime made becomes a child of this process when the runtime ends
syscalls.prctl(PR_SET_CHILD_SUBREAPER, 1);
// For every container to come: no better priority than the launcher's, and no real time
for (const limit of [RLIMIT_NICE, RLIMIT_RTPRIO]) syscalls.setrlimit(limit, 0, 0);
rehearse(syscalls, filter);
failpoint('launcher.rehearsed');
new LauncherLoop(context, CONTROL_FD).run();
