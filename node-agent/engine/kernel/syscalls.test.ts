import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  POLLIN,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_SYMLINKS,
  S_IFIFO,
} from './linux-constants.ts';
import { SyscallError, syscalls as sys } from './syscalls.ts';

test('an errno becomes a SyscallError that names the call, its arguments and the code', () => {
  assert.throws(
    () => sys.openat(AT_FDCWD, '/nope', O_RDONLY),
    (error) =>
      error instanceof SyscallError &&
      error.code === 'ENOENT' &&
      error.call === 'openat' &&
      error.message === 'openat(-100, "/nope", 0, 0): ENOENT',
  );
});

test('a path with a NUL is refused before the kernel sees a shorter one', () => {
  for (const bad of ['/tmp\0x', Buffer.from('/tmp\0x')]) {
    assert.throws(() => sys.openat(AT_FDCWD, bad, O_PATH), { code: 'EINVAL' });
  }
});

test('openat2 keeps a path inside its root and refuses symbolic links when told', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'hearth-sys-'));
  t.after(() => rmSync(root, { recursive: true }));
  symlinkSync('/etc/passwd', join(root, 'link'));
  const rootFd = sys.openat(AT_FDCWD, root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  t.after(() => sys.close(rootFd));
  const open = (resolve: number) => sys.openat2(rootFd, 'link', { flags: O_RDONLY, resolve });
  assert.throws(() => open(RESOLVE_IN_ROOT), { code: 'ENOENT' });
  assert.throws(() => open(RESOLVE_NO_SYMLINKS), { code: 'ELOOP' });
});

test('files made by the *at calls have the mode, time, link and bytes of name asked for', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'hearth-sys-'));
  t.after(() => rmSync(root, { recursive: true }));
  const fd = sys.openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  t.after(() => sys.close(fd));
  sys.mkdirat(fd, 'd', 0o700);
  sys.fchmodat(fd, 'd', 0o2751);
  assert.equal(statSync(join(root, 'd')).mode & 0o7777, 0o2751);
  sys.symlinkat('x/y', fd, 'l');
  assert.equal(sys.readlinkat(fd, 'l').toString(), 'x/y');
  sys.utimensat(fd, 'l', ['omit', { seconds: 5, nanoseconds: 6 }], AT_SYMLINK_NOFOLLOW);
  sys.mknodat(fd, Buffer.from([0x66, 0xff]), S_IFIFO | 0o600, 0);
  assert.throws(() => sys.mkdirat(fd, Buffer.from([0x66, 0xff]), 0o700), { code: 'EEXIST' });
  writeFileSync(join(root, 'f'), '1');
  sys.linkat(fd, 'f', fd, 'd/g', 0);
  sys.unlinkat(fd, 'f', 0);
  assert.equal(readFileSync(join(root, 'd/g'), 'utf8'), '1');
});

test('extended attributes come back as they were set', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'hearth-sys-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'd'));
  try {
    sys.lsetxattr(join(root, 'd'), 'trusted.overlay.opaque', Buffer.from('y'));
  } catch (error) {
    t.skip(`needs trusted extended attributes: ${String(error)}`);
    return;
  }
  assert.deepEqual(sys.llistxattr(join(root, 'd')), ['trusted.overlay.opaque']);
  assert.equal(sys.lgetxattr(join(root, 'd'), 'trusted.overlay.opaque').toString(), 'y');
});

test('poll tells which descriptor is readable', (t) => {
  const [a, b] = [sys.pipe2(O_CLOEXEC), sys.pipe2(O_CLOEXEC)];
  t.after(() => [a, b].flatMap(({ read, write }) => [read, write]).forEach(sys.close));
  const wanted = [a, b].map(({ read }) => ({ fd: read, events: POLLIN }));
  assert.deepEqual(sys.poll(wanted, 0), []);
  sys.write(b.write, Buffer.from('x'));
  assert.deepEqual(sys.poll(wanted, -1), [0, POLLIN]);
});
