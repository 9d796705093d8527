/**
 * First stage of the launcher. V8 marks its heap MADV_DONTFORK, so a forked Node would die at its
 * first touch; it ignores errors of that call and checks nothing else. A seccomp filter that answers
 * it with "done" must be there before node maps its heap, so this stage installs the filter and
 * executes node again with the launcher itself. CAP_SYS_ADMIN makes no-new-privs unnecessary.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inheritedFailpoints } from '../failpoints.ts';
import { F_SETFD } from '../kernel/linux-constants.ts';
import { engineArch } from '../kernel/syscall-numbers.ts';
import { syscalls as sys } from '../kernel/syscalls.ts';
import { dontforkFilter } from '../seccomp/seccomp.ts';

const CONTROL_FD = 3;
/** proc_pid_oom_score_adj(5) */
const OOM_SCORE = '/proc/self/oom_score_adj';

// Node closes its descriptors on exec; these four are the launcher's
for (let fd = 0; fd <= CONTROL_FD; fd++) sys.fcntl(fd, F_SETFD, 0);
sys.seccompSetFilter(dontforkFilter(engineArch()));
// Containers inherit it, and are to be killed before the daemons that are protected
if (Number(readFileSync(OOM_SCORE, 'utf8')) < 0) writeFileSync(OOM_SCORE, '0');
const main = fileURLToPath(new URL('./main.js', import.meta.url));
// V8 must post nothing to worker threads: a fork has none
sys.execve(
  process.execPath,
  [process.execPath, '--single-threaded', '--no-flush-bytecode', main, ...process.argv.slice(2)],
  // Forks look up no function of a library for the first time while a start waits (ld.so(8))
  ['HOME=/', 'LD_BIND_NOW=1', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...inheritedFailpoints()],
);
