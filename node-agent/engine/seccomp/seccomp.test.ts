import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EngineArch, syscallNumbers } from '../kernel/syscall-numbers.ts';
import { interpret } from '../testing/bpf-machine.ts';
import { AUDIT_ARCH, containerFilter, dontforkFilter } from './seccomp.ts';
import { ALLOWED_SYSCALLS, MISSING_SYSCALLS, SECCOMP_RULES } from './seccomp-table.ts';

const ACTIONS = new Map([
  [0x7fff0000, 'allow'],
  [0x50001, 'EPERM'],
  [0x50026, 'ENOSYS'],
  [0x80000000, 'kill'],
]);

function judge(arch: EngineArch, name: string, args: readonly (number | bigint)[] = []): string {
  const nr = syscallNumbers(arch).get(name);
  assert.ok(nr !== undefined, name);
  const call = { nr, arch: AUDIT_ARCH[arch], args: args.map(BigInt) };
  return ACTIONS.get(interpret(containerFilter(arch), call)) ?? 'unknown';
}

const REFUSED = `unshare mount umount2 pivot_root chroot setns fsopen fsconfig fsmount move_mount
  open_tree mount_setattr io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key
  userfaultfd memfd_secret process_vm_readv process_vm_writev ptrace pidfd_getfd kcmp
  perf_event_open bpf open_by_handle_at name_to_handle_at quotactl acct swapon reboot kexec_load
  init_module finit_module delete_module syslog clock_settime settimeofday mbind move_pages
  migrate_pages sethostname setdomainname fanotify_init`.split(/\s+/);

for (const arch of ['x64', 'arm64'] as const) {
  test(`every known syscall is judged as the table says on ${arch}`, () => {
    const allowed = new Set(ALLOWED_SYSCALLS);
    for (const name of syscallNumbers(arch).keys()) {
      if (SECCOMP_RULES[name] !== undefined) continue;
      const missing = MISSING_SYSCALLS.includes(name);
      const wanted = missing ? 'ENOSYS' : allowed.has(name) ? 'allow' : 'EPERM';
      assert.equal(judge(arch, name), wanted, name);
    }
  });

  test(`ESC-P: what a container must not reach is refused on ${arch}`, () => {
    for (const name of REFUSED) assert.equal(judge(arch, name), 'EPERM', name);
    assert.equal(judge(arch, 'clone3'), 'ENOSYS');
  });

  test(`clone with any namespace flag is refused, a thread's is not, on ${arch}`, () => {
    for (const flag of [
      0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
    ]) {
      assert.equal(judge(arch, 'clone', [flag | 17]), 'EPERM', flag.toString(16));
    }
    assert.equal(judge(arch, 'clone', [0x3d0f00]), 'allow');
  });

  test(`sockets: local, internet and NETLINK_ROUTE only, never raw, on ${arch}`, () => {
    const socket = (...args: number[]) => judge(arch, 'socket', args);
    assert.equal(socket(1, 1, 0), 'allow');
    assert.equal(socket(2, 1 | 0x80800, 6), 'allow');
    assert.equal(socket(10, 2, 17), 'allow');
    assert.equal(socket(2, 2, 1), 'allow');
    assert.equal(socket(2, 1, 262), 'allow');
    for (const protocol of [33, 115, 132, 136, 256]) {
      for (const family of [2, 10]) assert.equal(socket(family, 1, protocol), 'EPERM');
    }
    assert.equal(socket(2, 3, 1), 'EPERM');
    assert.equal(socket(10, 3 | 0x80000, 58), 'EPERM');
    assert.equal(socket(16, 3 | 0x80000, 0), 'allow');
    for (const protocol of [6, 12]) assert.equal(socket(16, 3, protocol), 'EPERM');
    for (const family of [0, 15, 17, 21, 30, 31, 38, 40, 44]) {
      assert.equal(socket(family, 1, 0), 'EPERM', String(family));
      assert.equal(judge(arch, 'socketpair', [family]), 'EPERM', String(family));
    }
    assert.equal(judge(arch, 'socketpair', [1, 1, 0]), 'allow');
  });

  test(`ioctl is compared by its low 32 bits on ${arch}`, () => {
    for (const request of [0x5412n, 0x541cn, 0x5423n, 0x1_0000_5412n]) {
      assert.equal(judge(arch, 'ioctl', [0, request]), 'EPERM');
    }
    assert.equal(judge(arch, 'ioctl', [0, 0x5401]), 'allow');
  });

  test(`personality takes only harmless values on ${arch}`, () => {
    for (const value of [0, 8, 0x20000, 0x20008, 0xffffffff]) {
      assert.equal(judge(arch, 'personality', [value]), 'allow');
    }
    for (const value of [0x40000, 0x400000]) {
      assert.equal(judge(arch, 'personality', [value]), 'EPERM');
    }
  });

  test(`numbers nobody knows are refused on ${arch}`, () => {
    for (const nr of [600, 1000, 0x3fffffff]) {
      const action = interpret(containerFilter(arch), { nr, arch: AUDIT_ARCH[arch] });
      assert.equal(ACTIONS.get(action), 'EPERM');
    }
  });
}

test('another architecture and the x32 numbers end the process', () => {
  const filter = containerFilter('x64');
  for (const arch of [0x40000003, AUDIT_ARCH.arm64]) {
    assert.equal(ACTIONS.get(interpret(filter, { nr: 0, arch })), 'kill');
  }
  assert.equal(ACTIONS.get(interpret(filter, { nr: 0x40000000, arch: AUDIT_ARCH.x64 })), 'kill');
  assert.equal(ACTIONS.get(interpret(filter, { nr: -1, arch: AUDIT_ARCH.x64 })), 'kill');
});

test('every name of the table exists on x64', () => {
  const known = syscallNumbers('x64');
  for (const name of [...ALLOWED_SYSCALLS, ...Object.keys(SECCOMP_RULES)]) {
    assert.ok(known.has(name), name);
  }
});

test('the launcher answers MADV_DONTFORK with success and lets everything else through', () => {
  const filter = dontforkFilter('x64');
  const madvise = (advice: bigint) =>
    interpret(filter, { nr: 28, arch: AUDIT_ARCH.x64, args: [0n, 0n, advice] });
  assert.equal(madvise(10n), 0x50000);
  assert.equal(madvise(4n), 0x7fff0000);
  assert.equal(interpret(filter, { nr: 0, arch: AUDIT_ARCH.x64 }), 0x7fff0000);
});
