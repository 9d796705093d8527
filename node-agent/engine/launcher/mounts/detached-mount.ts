import {
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_PATH,
} from '../../kernel/linux-constants.ts';
import type { Syscalls } from '../../kernel/syscall-types.ts';

/** Attributes of a mount by which no file gives rights and none is executed. */
export const NO_ESCALATION = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
/** Flags of a descriptor that only says where something is. */
export const PATH_ONLY = O_PATH | O_CLOEXEC;

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
