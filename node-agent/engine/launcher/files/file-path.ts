import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from '../../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';

/** openat2(2): EAGAIN when something was renamed while `..` was resolved; it asks to try again. */
const RESOLVE_TRIES = 100;

/** What a path of the container was refused for. */
export class PathError extends Error {
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(path, { cause });
    this.path = path;
  }
}

/** Descriptor of the root folder of this process. */
export function openRoot(sys: Syscalls): number {
  return sys.openat(AT_FDCWD, '/', O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/**
 * Descriptor of a folder. Links are followed, inside the root only, and no magic link of /proc is:
 * CVE-2018-15664, CVE-2019-14271.
 */
export function openFolder(sys: Syscalls, root: number, path: Buffer): number {
  const how = {
    flags: O_PATH | O_DIRECTORY | O_CLOEXEC,
    resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  };
  for (let tries = 1; ; tries++) {
    try {
      return sys.openat2(root, path, how);
    } catch (error) {
      const again = error instanceof SyscallError && error.code === 'EAGAIN';
      if (!again || tries >= RESOLVE_TRIES) throw error;
    }
  }
}

/** Descriptor of what stands under a name, a link itself too; opening it has no effect on it. */
export function openEntry(sys: Syscalls, folder: number, name: Buffer): number {
  return sys.openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/** Folder and last component of an absolute path; an empty name for the root. */
export function splitPath(path: Buffer): { parent: Buffer; name: Buffer } {
  const cut = path.lastIndexOf(0x2f);
  return {
    parent: cut <= 0 ? Buffer.from('/') : path.subarray(0, cut),
    name: path.subarray(cut + 1),
  };
}

/** Bytes of a path as file-frames.ts has them. */
export function pathBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** Does `act`, whose errors then name the path. */
export function atPath<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof PathError || (error instanceof SyscallError && error.code === 'EPIPE')) {
      throw error;
    }
    throw new PathError(path, error);
  }
}
