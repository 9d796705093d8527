import {
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
} from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';

/** A file system to be made: its type, options of fsconfig(2) (undefined: a flag), MOUNT_ATTR_ bits. */
export interface FileSystem {
  type: string;
  options: Readonly<Record<string, string | undefined>>;
  attributes: number;
}

/** A detached mount of a new file system. */
export function newMount(sys: Syscalls, fileSystem: FileSystem): number {
  const context = sys.fsopen(fileSystem.type, FSOPEN_CLOEXEC);
  for (const [key, value] of Object.entries(fileSystem.options)) {
    sys.fsconfigSet(context, key, value);
  }
  sys.fsconfigCreate(context);
  const mount = sys.fsmount(context, FSMOUNT_CLOEXEC, fileSystem.attributes);
  sys.close(context);
  return mount;
}

/** Moves a detached mount onto a descriptor and closes both. */
export function attach(sys: Syscalls, mount: number, target: number): void {
  sys.moveMount(mount, '', target, '', MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
  sys.close(mount);
  sys.close(target);
}
