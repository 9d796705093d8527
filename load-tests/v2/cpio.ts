/** A file, folder or nothing but a name of an initramfs. */
export interface CpioEntry {
  path: string;
  /** Absent: a folder. */
  content?: Buffer;
}

const FOLDER_MODE = 0o040755;
const PROGRAM_MODE = 0o100755;
const ALIGN = 4;

/**
 * An archive in the "newc" format that the kernel unpacks as its first root file system
 * (Documentation/driver-api/early-userspace/buffer-format.rst). All files are programs of root.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const numbered = entries.map((entry, index) => record(entry, index + 1));
  return Buffer.concat([...numbered, record({ path: 'TRAILER!!!', content: Buffer.alloc(0) }, 0)]);
}

function record({ path, content }: CpioEntry, inode: number): Buffer {
  const name = Buffer.from(`${path}\0`);
  const isTrailer = inode === 0;
  const mode = content === undefined ? FOLDER_MODE : PROGRAM_MODE;
  const size = content?.length ?? 0;
  // inode, mode, uid, gid, links, mtime, size, device ×2, special device ×2, name's length, check
  const fields = [inode, isTrailer ? 0 : mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length, 0];
  const hex = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const header = Buffer.concat([Buffer.from(`070701${hex}`), name]);
  return Buffer.concat([padded(header), padded(content ?? Buffer.alloc(0))]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((ALIGN - (bytes.length % ALIGN)) % ALIGN)]);
}
