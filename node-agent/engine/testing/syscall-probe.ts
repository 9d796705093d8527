import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { engineArch, syscallNumbers } from '../syscall-numbers.ts';

/** Makes each syscall named as argument `number,a0,a1,a2` and says its errno. */
const PROBE = `
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    char *p = argv[i];
    long v[4] = {0};
    for (int n = 0; n < 4; n++) { v[n] = strtol(p, &p, 0); if (*p == ',') p++; }
    errno = 0;
    long r = syscall(v[0], v[1], v[2], v[3], 0, 0, 0);
    printf("%d\\n", r < 0 ? errno : 0);
  }
  return 0;
}
`;

const [EPERM, ENOSYS] = [1, 38];

/** ESC-P of the security design: name, arguments, errno expected (0: allowed). */
export const EXPECTED: readonly [string, readonly number[], number][] = [
  ['unshare', [0x10000000], EPERM],
  ['unshare', [0x20000], EPERM],
  ['clone', [0x10000000 | 17], EPERM],
  ['clone3', [0, 0], ENOSYS],
  ...[
    'mount umount2 pivot_root chroot setns fsopen fsconfig fsmount move_mount open_tree mount_setattr',
    'io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key userfaultfd',
    'memfd_secret process_vm_readv process_vm_writev ptrace pidfd_getfd kcmp perf_event_open bpf',
    'open_by_handle_at name_to_handle_at quotactl acct swapon reboot kexec_load init_module',
    'finit_module syslog clock_settime settimeofday mbind move_pages migrate_pages sethostname',
  ]
    .flatMap((names) => names.split(' '))
    .map((name): [string, readonly number[], number] => [name, [0, 0, 0], EPERM]),
  ['personality', [0x40000], EPERM],
  ['personality', [0xffffffff], 0],
  ['socket', [1, 1, 0], 0],
  ['socket', [2, 1, 0], 0],
  ['socket', [16, 3, 0], 0],
  ['socket', [16, 3, 6], EPERM],
  ['socket', [16, 3, 12], EPERM],
  ['socket', [2, 3, 1], EPERM],
  ...[17, 38, 33, 30, 40, 31, 44, 15].map((family): [string, readonly number[], number] => [
    'socket',
    [family, 3, 0],
    EPERM,
  ]),
  ['ioctl', [0, 0x5412, 0], EPERM],
  ['ioctl', [0, 0x541c, 0], EPERM],
  ['getpid', [], 0],
];

const numbers = syscallNumbers(engineArch());

/** `EXPECTED` as the probe's arguments. */
export const PROBE_ARGUMENTS: readonly string[] = EXPECTED.map(([name, values]) =>
  [numbers.get(name), ...values].join(','),
);

/** Compiles the probe into a layer, as /bin/probe. */
export function installProbe(into: { folder: string; layer: string }): void {
  const source = join(into.folder, 'probe.c');
  writeFileSync(source, PROBE);
  execFileSync('gcc', ['-static', '-O1', '-o', join(into.layer, 'bin/probe'), source]);
}
