import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  MOUNT_ATTR_RDONLY,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';
import type { CgroupView } from '../messages.ts';
import { attach, NO_ESCALATION, newMount, PATH_ONLY } from './detached-mount.ts';

const CPU = 'devices/system/cpu';
/** How many cpus there are, which C libraries ask: sysconf(3), get_nprocs(3). */
const CPU_FILES = ['online', 'possible', 'present'];
const TEXT_BYTES_MAX = 4096;

/**
 * The container's own /sys, mounted as `sys` in the working folder: its cgroups, so that a runtime
 * finds its memory and cpu limits, and the number of cpus. Nothing of the host's is there, and all
 * of it is read-only: a folder of a v1 hierarchy other than its root has no release_agent
 * (CVE-2022-0492).
 */
export function mountSys(
  sys: Syscalls,
  blank: { uidBase: number; cgroupViews: readonly CgroupView[] },
): void {
  const owner = String(blank.uidBase);
  const options = { mode: '0555', size: '65536', nr_inodes: '64', uid: owner, gid: owner };
  const mount = newMount(sys, { type: 'tmpfs', options, attributes: NO_ESCALATION });
  const root = sys.fcntl(mount, F_DUPFD_CLOEXEC, 0);
  sys.mkdirat(AT_FDCWD, 'sys', 0o755);
  attach(sys, mount, sys.openat(AT_FDCWD, 'sys', PATH_ONLY));
  for (const folder of ['fs', 'fs/cgroup', 'devices', 'devices/system', CPU]) {
    sys.mkdirat(root, folder, 0o755);
  }
  for (const { name, path } of blank.cgroupViews) {
    const at = name === '' ? 'fs/cgroup' : `fs/cgroup/${name}`;
    if (name !== '') sys.mkdirat(root, at, 0o755);
    const view = sys.openTree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    sys.mountSetattr(view, '', AT_EMPTY_PATH, { set: NO_ESCALATION | MOUNT_ATTR_RDONLY });
    attach(sys, view, sys.openat(root, at, PATH_ONLY));
  }
  for (const name of CPU_FILES) copyText(sys, `/sys/${CPU}/${name}`, root, `${CPU}/${name}`);
  sys.mountSetattr(root, '', AT_EMPTY_PATH, { set: MOUNT_ATTR_RDONLY });
  sys.close(root);
}

function copyText(sys: Syscalls, from: string, folder: number, to: string): void {
  const text = Buffer.alloc(TEXT_BYTES_MAX);
  let length = 0;
  try {
    const source = sys.openat(AT_FDCWD, from, O_RDONLY | O_CLOEXEC);
    length = sys.read(source, text);
    sys.close(source);
  } catch (error) {
    // A host without /sys, itself a container
    if (error instanceof SyscallError && error.code === 'ENOENT') return;
    throw error;
  }
  const fd = sys.openat(folder, to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o444);
  sys.write(fd, text.subarray(0, length));
  sys.close(fd);
}
