import type { CapabilitySets, FileTime, MountAttr, OpenHow } from './syscall-types.ts';

/** utimensat(2): leaves a time as it is. */
const UTIME_OMIT = 0x3ffffffe;
const CAPABILITY_VERSION_3 = 0x20080522;

/** Writes a `struct timespec` at `offset`. */
export function writeTimespec(buffer: Buffer, offset: number, time: FileTime): void {
  const [seconds, nanoseconds] =
    time === 'omit' ? [0, UTIME_OMIT] : [time.seconds, time.nanoseconds];
  buffer.writeBigInt64LE(BigInt(seconds), offset);
  buffer.writeBigInt64LE(BigInt(nanoseconds), offset + 8);
}

/** `struct __user_cap_header_struct` of the calling thread: capset(2). */
export function capabilityHeader(): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3);
  return header;
}

/** Two `struct __user_cap_data_struct`: the low and the high 32 bits of each set. */
export function capabilityData(sets: CapabilitySets): Buffer {
  const words = [sets.effective, sets.permitted, sets.inheritable];
  const data = Buffer.alloc(24);
  words.forEach((bits, n) => {
    data.writeUInt32LE(Number(bits & 0xffffffffn), 4 * n);
    data.writeUInt32LE(Number(bits >> 32n), 12 + 4 * n);
  });
  return data;
}

/** `struct mount_attr`: mount_setattr(2). */
export function mountAttr(attr: MountAttr): Buffer {
  return words([attr.set, attr.clear ?? 0, attr.propagation ?? 0, attr.userns ?? 0]);
}

/** `struct open_how`: openat2(2). */
export function openHow(how: OpenHow): Buffer {
  return words([how.flags, how.mode ?? 0, how.resolve]);
}

function words(values: readonly number[]): Buffer {
  const data = Buffer.alloc(8 * values.length);
  values.forEach((value, n) => {
    data.writeBigUInt64LE(BigInt(value), 8 * n);
  });
  return data;
}
