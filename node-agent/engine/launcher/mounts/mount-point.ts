import {
  AT_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../../kernel/linux-constants.ts';
import {
  type OpenHow,
  type Path,
  SyscallError,
  type Syscalls,
} from '../../kernel/syscall-types.ts';
import { PATH_ONLY } from './detached-mount.ts';
import { asRangeOwner } from './range-owner.ts';
import type { MountTargets } from './user-mounts.ts';

/** A rename somewhere in the tree at the same moment makes a step of a path unsure: openat2(2). */
const TRIES = 100;

/**
 * Descriptor of the place inside the root where something shall be mounted; links are followed, but
 * never out of the root, also while somebody moves folders of a shared volume (CVE-2021-30465). What
 * is missing is made as the container's own, the place itself as its program's user's, who could not
 * write to a new volume otherwise. It is never the root itself, to which a link may lead.
 */
export function openMountPoint(
  sys: Syscalls,
  targets: MountTargets,
  wanted: { path: string; kind: 'folder' | 'file' },
): number {
  const { root, uidBase, user } = targets;
  const at = openOrMake(sys, { root, uidBase, user }, wanted);
  const [found, top] = [sys.fstat(at), sys.fstat(root)];
  if (found.device !== top.device || found.inode !== top.inode) return at;
  throw refused('EBUSY', wanted.path);
}

function openOrMake(
  sys: Syscalls,
  targets: { root: number; uidBase: number; user?: MountTargets['user'] },
  wanted: { path: string; kind: 'folder' | 'file' },
): number {
  const { root, uidBase, user = { uid: 0, gid: 0 } } = targets;
  const { path, kind } = wanted;
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  try {
    return openCalmly(sys, root, path, { flags: PATH_ONLY, resolve });
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOENT' || path === '/') throw error;
  }
  const cut = path.lastIndexOf('/');
  const name = path.slice(cut + 1);
  const above = { path: cut === 0 ? '/' : path.slice(0, cut), kind: 'folder' } as const;
  const parent = openOrMake(sys, { root, uidBase }, above);
  asRangeOwner(sys, uidBase, () => {
    if (kind === 'folder') makeFolder(sys, parent, name);
    else sys.close(sys.openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o644));
  });
  const own = { flags: PATH_ONLY | O_NOFOLLOW, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
  const made = openCalmly(sys, parent, name, own);
  sys.fchownat(made, '', uidBase + user.uid, uidBase + user.gid, AT_EMPTY_PATH);
  sys.close(parent);
  return made;
}

function makeFolder(sys: Syscalls, parent: number, name: string): void {
  sys.mkdirat(parent, name, 0o755);
}

function openCalmly(sys: Syscalls, at: number, path: Path, how: OpenHow): number {
  for (let tries = 1; ; tries++) {
    try {
      return sys.openat2(at, path, how);
    } catch (error) {
      const again = error instanceof SyscallError && error.code === 'EAGAIN' && tries < TRIES;
      if (!again) throw error;
    }
  }
}

function refused(code: string, path: string): SyscallError {
  return new SyscallError({ call: 'move_mount', errno: 0, code, args: [path] });
}
