import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEFAULT_CAPABILITIES } from './capabilities.ts';
import { engineArch, syscallNumbers } from './syscall-numbers.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, makeEngineWorld } from './testing/engine-world.ts';

const skip =
  missingForContainers() ?? (existsSync('/usr/bin/gcc') ? false : 'needs gcc for a static probe');

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
const EXPECTED: readonly [string, readonly number[], number][] = [
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

describe('ESC-P', { skip }, () => {
  let world: EngineWorld;
  before(async () => {
    world = await makeEngineWorld();
    const source = join(world.folder, 'probe.c');
    writeFileSync(source, PROBE);
    execFileSync('gcc', ['-static', '-O1', '-o', join(world.layer, 'bin/probe'), source]);
  });
  after(() => world.close());

  const numbers = syscallNumbers(engineArch());
  const args = EXPECTED.map(([name, values]) => [numbers.get(name), ...values].join(','));

  for (const [title, user, capabilities] of [
    ['uid 0', { uid: 0, gid: 0, groups: [] }, []],
    ['uid 10001', { uid: 10_001, gid: 10_001, groups: [] }, []],
    ['a build step', { uid: 0, gid: 0, groups: [] }, DEFAULT_CAPABILITIES],
  ] as const) {
    test(`every probe is answered as required for ${title}`, async () => {
      const ran = await world.run(['/bin/probe', ...args], { user, capabilities });
      assert.equal(ran.code, 0, ran.stderr);
      const found = ran.stdout.trim().split('\n').map(Number);
      const wrong = EXPECTED.flatMap(([name, values, errno], n) =>
        found[n] === errno ? [] : [`${name}(${values.join(', ')}): ${found[n]}, not ${errno}`],
      );
      assert.deepEqual(wrong, []);
    });
  }

  test('no file of /proc that is not a process’s can be opened for writing', async () => {
    const script = `for f in $(find /proc -maxdepth 5 -type f ! -path '/proc/[0-9]*' ! -path '/proc/self*' ! -path '/proc/thread-self*' 2>/dev/null); do
      (: >> "$f") 2>/dev/null && echo "$f"; done; true`;
    const ran = await world.run(['/bin/sh', '-c', script]);
    const masked = (path: string) =>
      [
        '/proc/interrupts',
        '/proc/kallsyms',
        '/proc/kcore',
        '/proc/keys',
        '/proc/timer_list',
      ].includes(path);
    assert.deepEqual(
      ran.stdout.split('\n').filter((line) => line !== '' && !masked(line)),
      [],
    );
  });

  test('a file’s set-user-id bit and capabilities give nothing', async () => {
    const extra = join(world.folder, 'suid');
    mkdirSync(join(extra, 'bin'), { recursive: true });
    copyFileSync('/bin/busybox', join(extra, 'bin/suid-id'));
    execFileSync('chmod', ['4755', join(extra, 'bin/suid-id')]);
    execFileSync('ln', ['-s', 'suid-id', join(extra, 'bin/id2')]);
    const user = { uid: 7, gid: 7, groups: [] };
    const script = '/bin/suid-id id -u; grep CapEff /proc/self/status';
    const ran = await world.run(['/bin/sh', '-c', script], { layers: [world.layer, extra], user });
    assert.match(ran.stdout, /CapEff:\s0+\n$/);
    assert.ok(!/^0$/m.test(ran.stdout), ran.stdout);
  });
});
