import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MOUNT_ATTR_IDMAP,
  O_CLOEXEC,
  O_RDONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from '../kernel/linux-constants.ts';
import { syscalls as sys } from '../kernel/syscalls.ts';

/**
 * Maps the ids of a detached clone of `folder`, the step that a file system may refuse. Nothing is
 * attached, so nothing is left. @throws SyscallError
 */
export async function probeMappedMount(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const child = spawn('unshare', ['--user', '--map-root-user', 'sleep', '10'], { stdio: 'ignore' });
  try {
    await once(child, 'spawn');
    const userns = await openOtherUserNamespace(child.pid ?? 0);
    const tree = sys.openTree(AT_FDCWD, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    try {
      sys.mountSetattr(tree, '', AT_EMPTY_PATH, { set: MOUNT_ATTR_IDMAP, userns });
    } finally {
      sys.close(tree);
      sys.close(userns);
    }
  } finally {
    child.kill('SIGKILL');
  }
}

const TRIES = 100;
const WAIT_MS = 10;

/** The child has its namespace, then its two maps, a moment after it began; an empty one is EINVAL. */
async function openOtherUserNamespace(pid: number): Promise<number> {
  const own = readlinkSync('/proc/self/ns/user');
  for (let tries = 0; tries < TRIES; tries++) {
    const ready =
      readlinkSync(`/proc/${pid}/ns/user`) !== own &&
      ['uid_map', 'gid_map'].every((map) => readFileSync(`/proc/${pid}/${map}`, 'utf8') !== '');
    if (ready) return sys.openat(AT_FDCWD, `/proc/${pid}/ns/user`, O_RDONLY | O_CLOEXEC);
    await sleep(WAIT_MS);
  }
  throw new Error('no user namespace could be made');
}
