const BLOCK_BYTES = 4096;
const INODE_BYTES = 256;
const INODES_PER_BLOCK = BLOCK_BYTES / INODE_BYTES;
/** A group's blocks: as many as one bitmap block has bits. */
const GROUP_BLOCKS = 8 * BLOCK_BYTES;
const DESCRIPTOR_BYTES = 32;
/** Ten that ext4 keeps for itself, and lost+found. */
const OWN_INODES = 11;
/** lost+found, the root folder, and overlay's own folders. */
const OWN_BLOCKS = 16;
/** Of what ext4 keeps back so that delayed writes can end: ext4_calculate_resv_clusters(). */
const KEPT_SHARE = 50;
const KEPT_BLOCKS_MAX = 4096;
const ROUNDS = 16;

/**
 * Features, none by default: no journal, as nothing of it is read after a crash; tables are known to
 * be zero in a new sparse file, so that none is written, then or later.
 */
const FEATURES = [
  'none',
  'extent',
  'ext_attr',
  'filetype',
  'flex_bg',
  'dir_index',
  'sparse_super',
  'large_file',
  'huge_file',
  'dir_nlink',
  'extra_isize',
  'uninit_bg',
].join(',');

/** A file system in a file, of so many bytes for a container. */
export interface DiskPlan {
  /** Of the file, which holds the file system's own tables as well. */
  fileBytes: number;
  /** Of mkfs.ext4(8), before the file. */
  mkfsArguments: readonly string[];
}

/** Sized so that files of `bytes` together fit, and no more than 1 % beyond; `inodes` likewise. */
export function planDisk(bytes: number, inodes: number): DiskPlan {
  const data = Math.ceil(bytes / BLOCK_BYTES) + OWN_BLOCKS;
  const count = inodes + OWN_INODES;
  let blocks = data;
  for (let round = 0; round < ROUNDS; round++) {
    const next = data + tableBlocks(blocks, count) + keptBlocks(blocks);
    if (next === blocks) break;
    blocks = next;
  }
  const size = ['-b', String(BLOCK_BYTES), '-I', String(INODE_BYTES), '-N', String(count)];
  const extended = 'lazy_itable_init=0,root_owner=0:0';
  return {
    fileBytes: blocks * BLOCK_BYTES,
    mkfsArguments: ['-F', '-q', ...size, '-m', '0', '-O', FEATURES, '-E', extended],
  };
}

/** Blocks of inode tables, bitmaps, superblocks and group descriptors (Documentation/filesystems/ext4). */
function tableBlocks(blocks: number, inodes: number): number {
  const groups = Math.ceil(blocks / GROUP_BLOCKS);
  const tables = groups * Math.ceil(Math.ceil(inodes / groups) / INODES_PER_BLOCK);
  const descriptors = Math.ceil((groups * DESCRIPTOR_BYTES) / BLOCK_BYTES);
  return tables + 2 * groups + superblocks(groups) * (1 + descriptors);
}

/** Copies of the superblock are in groups 0, 1 and powers of 3, 5 and 7 (sparse_super). */
function superblocks(groups: number): number {
  let copies = Math.min(groups, 2);
  for (const base of [3, 5, 7]) for (let at = base; at < groups; at *= base) copies += 1;
  return copies;
}

function keptBlocks(blocks: number): number {
  return Math.min(Math.floor(blocks / KEPT_SHARE), KEPT_BLOCKS_MAX);
}
