import { AT_FDCWD, O_CLOEXEC, O_RDWR } from '../../kernel/linux-constants.ts';
import { SyscallError, type Syscalls } from '../../kernel/syscall-types.ts';

/** linux/loop.h */
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;
/** `struct loop_config`: fd, block size, struct loop_info64, reserved. */
const CONFIG_BYTES = 304;
const FLAGS_AT = 60;
const BLOCK_BYTES = 4096;
/** Others take devices at the same time. */
const TRIES = 64;

/** A block device of a file, as long as the descriptor or a mount of it is there (AUTOCLEAR). */
export interface LoopDevice {
  path: string;
  fd: number;
}

/** Makes one of the file `image`, read and written past the page cache where its file system can. */
export function openLoopDevice(sys: Syscalls, image: string): LoopDevice {
  const file = sys.openat(AT_FDCWD, image, O_RDWR | O_CLOEXEC);
  const control = sys.openat(AT_FDCWD, '/dev/loop-control', O_RDWR | O_CLOEXEC);
  for (let tries = 1; ; tries++) {
    const path = `/dev/loop${sys.ioctlValue(control, LOOP_CTL_GET_FREE, 0)}`;
    const fd = sys.openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    try {
      sys.ioctl(fd, LOOP_CONFIGURE, loopConfig(file));
      sys.close(file);
      sys.close(control);
      return { path, fd };
    } catch (error) {
      const taken = error instanceof SyscallError && error.code === 'EBUSY' && tries < TRIES;
      if (!taken) throw error;
      sys.close(fd);
    }
  }
}

function loopConfig(file: number): Buffer {
  const config = Buffer.alloc(CONFIG_BYTES);
  config.writeUInt32LE(file, 0);
  config.writeUInt32LE(BLOCK_BYTES, 4);
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO, FLAGS_AT);
  return config;
}
