const BLOCK_BYTES = 4096;
const INODES_MIN = 1024;

/** Files and folders that a file system of this size may have where nobody says: one a block. */
export function defaultInodes(bytes: number): number {
  return Math.max(INODES_MIN, Math.ceil(bytes / BLOCK_BYTES));
}
