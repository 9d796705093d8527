import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '../../lib/errors.ts';
import { isOpaque, isWhiteout } from './overlay-marks.ts';

/** One name of a root file system that is made of layers. */
export interface TreeNode {
  kind: 'file' | 'directory' | 'symlink' | 'other';
  /** Permission bits, with setuid, setgid and sticky. */
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  /** Where the bytes are: in the topmost layer that has the name. */
  hostPath: string;
  /** For a directory: its folders in all layers that show, topmost first. */
  folders: readonly string[];
}

/** What a path came to. */
export interface Resolved {
  /** Absolute, without links, in the tree. */
  path: string;
  /** Undefined: there is nothing. */
  node: TreeNode | undefined;
}

const LINKS_MAX = 40;

/** Thrown when a path cannot be walked: a loop of links, or a file where a directory must be. */
export class TreePathError extends Error {
  override readonly name = 'TreePathError';
}

/**
 * Unpacked layers as the one tree that overlayfs would show, read without mounting them. Paths are
 * walked name by name with lstat, and links are followed inside the tree, so that nothing outside
 * of the layers is ever read, whatever the layers hold. Nobody may change them meanwhile.
 */
export class LayeredTree {
  readonly root: TreeNode;

  /** `layers`: absolute folders, lowest first. */
  constructor(layers: readonly string[]) {
    const folders = layers.toReversed();
    const top = folders[0];
    const stat = top === undefined ? undefined : lstatSync(top);
    this.root = {
      kind: 'directory',
      mode: stat === undefined ? 0o755 : stat.mode & 0o7777,
      uid: stat?.uid ?? 0,
      gid: stat?.gid ?? 0,
      sizeBytes: 0,
      hostPath: top ?? '',
      folders,
    };
  }

  /** The node `name` in a directory. */
  child(directory: TreeNode, name: string): TreeNode | undefined {
    const folders: string[] = [];
    let top: Stats | undefined;
    for (const [index, folder] of directory.folders.entries()) {
      const path = join(folder, name);
      const stat = statOf(path, name);
      if (stat === undefined) continue;
      if (isWhiteout(stat) || (top !== undefined && !stat.isDirectory())) break;
      top ??= stat;
      folders.push(path);
      const isLowest = index === directory.folders.length - 1;
      if (!stat.isDirectory() || (!isLowest && isOpaque(path))) break;
    }
    const [hostPath] = folders;
    return top === undefined || hostPath === undefined ? undefined : nodeOf(top, hostPath, folders);
  }

  /** Names in a directory, sorted by their bytes. */
  names(directory: TreeNode): string[] {
    const names = new Set<string>();
    for (const folder of directory.folders) for (const name of readdirSync(folder)) names.add(name);
    const shown =
      directory.folders.length === 1
        ? [...names]
        : [...names].filter((name) => this.child(directory, name) !== undefined);
    return shown.sort(byBytes);
  }

  /**
   * Walks `path` from the root; `..` stops at the root. Names that do not exist stay in the path.
   * @throws TreePathError
   */
  resolve(path: string, options: { followLast: boolean } = { followLast: true }): Resolved {
    const walk: Walk = { pending: split(path), names: [], nodes: [this.root], links: 0 };
    while (walk.pending.length > 0) {
      const name = walk.pending.pop() ?? '';
      if (name === '..') {
        if (walk.names.pop() !== undefined) walk.nodes.pop();
        continue;
      }
      const node = this.#enter(walk, name);
      if (node?.kind === 'symlink' && (options.followLast || walk.pending.length > 0)) {
        this.#follow(walk, node);
        continue;
      }
      walk.names.push(name);
      walk.nodes.push(node);
    }
    return { path: `/${walk.names.join('/')}`, node: walk.nodes.at(-1) };
  }

  #enter(walk: Walk, name: string): TreeNode | undefined {
    const at = walk.nodes.at(-1);
    if (at === undefined) return undefined;
    if (at.kind === 'directory') return this.child(at, name);
    throw new TreePathError(`/${walk.names.join('/')} is not a directory`);
  }

  #follow(walk: Walk, link: TreeNode): void {
    if (++walk.links > LINKS_MAX) {
      throw new TreePathError(`/${walk.names.join('/')}: too many symbolic links`);
    }
    const target = readlinkSync(link.hostPath);
    if (target.startsWith('/')) {
      walk.names = [];
      walk.nodes = [this.root];
    }
    walk.pending.push(...split(target));
  }
}

interface Walk {
  /** Names to walk, the next one last. */
  pending: string[];
  names: string[];
  /** One more than names; undefined from where nothing exists. */
  nodes: (TreeNode | undefined)[];
  links: number;
}

/** A tree that was unpacked by descriptors may hold more than a path can name. */
function statOf(path: string, name: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (errnoCode(error) !== 'ENAMETOOLONG') throw error;
    throw new TreePathError(`…/${name.slice(0, 80)}: its path is too long`);
  }
}

function split(path: string): string[] {
  return path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .reverse();
}

/** Order of UTF-8 bytes, the same on every machine. */
export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function nodeOf(stat: Stats, hostPath: string, folders: readonly string[]): TreeNode {
  return {
    kind: kindOf(stat),
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    sizeBytes: stat.size,
    hostPath,
    folders,
  };
}

function kindOf(stat: Stats): TreeNode['kind'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSymbolicLink() ? 'symlink' : 'other';
}
