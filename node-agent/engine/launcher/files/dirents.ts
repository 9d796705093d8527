/** Offsets in struct linux_dirent64 (getdents64(2)). */
const LENGTH_OFFSET = 16;
const NAME_OFFSET = 19;

/** Names in a buffer that getdents64 filled, without `.` and `..`. */
export function direntNames(listing: Buffer): Buffer[] {
  const names: Buffer[] = [];
  let at = 0;
  while (at + NAME_OFFSET < listing.length) {
    const length = listing.readUInt16LE(at + LENGTH_OFFSET);
    if (length <= NAME_OFFSET) break;
    const end = listing.indexOf(0, at + NAME_OFFSET);
    const name = Buffer.from(listing.subarray(at + NAME_OFFSET, end));
    if (!['.', '..'].includes(name.toString('latin1'))) names.push(name);
    at += length;
  }
  return names;
}
