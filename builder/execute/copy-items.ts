import { readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { type LayeredTree, type TreeNode, TreePathError } from '../layers/layered-tree.ts';
import type { CopySource } from './copy-sources.ts';

/** One entry that a COPY makes; all decided, nothing written. */
export interface CopyItem {
  /** Absolute in the image. */
  path: string;
  kind: 'directory' | 'file' | 'symlink';
  mode: number;
  uid: number;
  gid: number;
  /** For a file: where its bytes are, or the bytes. */
  content?: string | Buffer;
  sizeBytes: number;
  /** For a link. */
  target?: string;
}

export interface CopyTarget {
  /** Root file system before the step. */
  rootfs: LayeredTree;
  /** Absolute. */
  path: string;
  isFolder: boolean;
  /** Undefined: 0:0, or as in an unpacked archive. */
  owner: { uid: number; gid: number } | undefined;
  /** Undefined: as the source. */
  mode: number | undefined;
}

/**
 * What copying `sources` to a target makes, sorted so that a directory comes before what is in it.
 * Directories above the target are among the items: as they are, or new with mode 0755.
 * Links above the target are followed inside the root file system, links in sources are copied.
 * @throws TreePathError, HearthError BuildStepFailed
 */
export function copyItems(sources: readonly CopySource[], target: CopyTarget): CopyItem[] {
  const items = new Items(target);
  const resolved = target.rootfs.resolve(target.path);
  const intoFolder = target.isFolder || resolved.node?.kind === 'directory';
  for (const source of sources) {
    if (source.kind === 'directory') {
      items.addTree(source, resolved.path);
    } else {
      items.addFile(source, intoFolder ? posix.join(resolved.path, source.name) : resolved.path);
    }
  }
  return items.sorted();
}

/** A new directory and those above it, as WORKDIR makes them. @throws TreePathError */
export function directoryItems(rootfs: LayeredTree, path: string): CopyItem[] {
  const target = { rootfs, path, isFolder: true, owner: undefined, mode: undefined };
  const items = new Items(target);
  items.addFolder(rootfs.resolve(path).path);
  return items.sorted();
}

class Items {
  readonly #target: CopyTarget;
  readonly #byPath = new Map<string, CopyItem>();

  constructor(target: CopyTarget) {
    this.#target = target;
  }

  /** The contents of a directory; the target itself keeps what it is, if it is there. */
  addTree(source: Extract<CopySource, { kind: 'directory' }>, path: string): void {
    this.#addParents(path);
    const { node: existing } = this.#target.rootfs.resolve(path, { followLast: false });
    if (existing !== undefined && existing.kind !== 'directory') {
      throw new TreePathError(`${path} is not a directory`);
    }
    if (path !== '/') {
      this.#add(existing === undefined ? this.#directory(path, source.node) : asIs(path, existing));
    }
    this.#addChildren(source, source.node, { path, relative: source.path });
  }

  addFile(source: Exclude<CopySource, { kind: 'directory' }>, path: string): void {
    this.#addParents(path);
    const { rootfs } = this.#target;
    if (rootfs.resolve(path, { followLast: false }).node?.kind === 'directory') {
      throw new TreePathError(`${path} is a directory`);
    }
    if (source.kind === 'inline') {
      const content = Buffer.from(source.content);
      const mode = this.#target.mode ?? 0o644;
      this.#add({ path, kind: 'file', mode, ...this.#owner(), content, sizeBytes: content.length });
      return;
    }
    this.#add(this.#leaf(path, source.node));
  }

  /** A directory of its own, and those above. */
  addFolder(path: string): void {
    this.#addParents(`${path}/.`);
  }

  sorted(): CopyItem[] {
    return [...this.#byPath.values()].sort((a, b) => Buffer.compare(keyOf(a), keyOf(b)));
  }

  #addChildren(
    source: Extract<CopySource, { kind: 'directory' }>,
    directory: TreeNode,
    at: { path: string; relative: string },
  ): void {
    for (const name of source.tree.names(directory)) {
      const relative = at.relative === '' ? name : `${at.relative}/${name}`;
      const path = posix.join(at.path, name);
      const excluded = source.excludes?.(relative) ?? false;
      const node = source.tree.child(directory, name);
      if (node?.kind === 'directory') {
        if (excluded && !source.excludes?.hasExceptions) continue;
        const before = this.#byPath.size;
        this.#addChildren(source, node, { path, relative });
        // A directory that is excluded itself stands only for what came back in it.
        if (!excluded || this.#byPath.size > before) this.#addDirectory(path, node, source);
      } else if (node !== undefined && node.kind !== 'other' && !excluded) {
        this.#add(this.#leaf(path, node, source.keepsOwners));
      }
    }
  }

  #addDirectory(
    path: string,
    node: TreeNode,
    source: Extract<CopySource, { kind: 'directory' }>,
  ): void {
    const { node: existing } = this.#target.rootfs.resolve(path, { followLast: false });
    const isThere = existing?.kind === 'directory';
    this.#add(isThere ? asIs(path, existing) : this.#directory(path, node, source.keepsOwners));
  }

  #directory(path: string, node: TreeNode, keepsOwner = false): CopyItem {
    const mode = this.#target.mode ?? node.mode;
    return {
      path,
      kind: 'directory',
      mode,
      ...this.#owner(keepsOwner ? node : undefined),
      sizeBytes: 0,
    };
  }

  #leaf(path: string, node: TreeNode, keepsOwner = false): CopyItem {
    const owner = this.#owner(keepsOwner ? node : undefined);
    if (node.kind === 'symlink') {
      const target = readlinkSync(node.hostPath);
      return { path, kind: 'symlink', mode: 0o777, ...owner, sizeBytes: 0, target };
    }
    const mode = this.#target.mode ?? node.mode;
    return {
      path,
      kind: 'file',
      mode,
      ...owner,
      content: node.hostPath,
      sizeBytes: node.sizeBytes,
    };
  }

  #owner(kept?: TreeNode): { uid: number; gid: number } {
    return this.#target.owner ?? { uid: kept?.uid ?? 0, gid: kept?.gid ?? 0 };
  }

  /** All directories above `path`, from the top. */
  #addParents(path: string): void {
    const names = path.split('/').slice(1, -1);
    for (const index of names.keys()) {
      const parent = `/${names.slice(0, index + 1).join('/')}`;
      if (this.#byPath.has(parent)) continue;
      const { node } = this.#target.rootfs.resolve(parent, { followLast: false });
      const made: CopyItem = {
        path: parent,
        kind: 'directory',
        mode: 0o755,
        ...this.#owner(),
        sizeBytes: 0,
      };
      if (node !== undefined && node.kind !== 'directory') {
        throw new TreePathError(`${parent} is not a directory`);
      }
      this.#add(node === undefined ? made : asIs(parent, node));
    }
  }

  #add(item: CopyItem): void {
    const known = this.#byPath.get(item.path);
    if (known !== undefined && (known.kind === 'directory') !== (item.kind === 'directory')) {
      throw new TreePathError(`${item.path} is both a file and a directory`);
    }
    if (Buffer.byteLength(item.path) > LIMITS.pathBytesMax) {
      throw new TreePathError(`${item.path.slice(0, 80)}…: path is longer than 4096 bytes`);
    }
    if (posix.basename(item.path).startsWith('.wh.')) {
      throw new TreePathError(`${item.path}: names that begin with .wh. mean removals in an image`);
    }
    this.#byPath.set(item.path, item);
    if (this.#byPath.size <= LIMITS.layerEntriesMax) return;
    throw new HearthError('BuildStepFailed', `copies more than ${LIMITS.layerEntriesMax} files`);
  }
}

/** A directory that is there keeps its attributes, whatever the step asks for. */
function asIs(path: string, node: TreeNode): CopyItem {
  return { path, kind: 'directory', mode: node.mode, uid: node.uid, gid: node.gid, sizeBytes: 0 };
}

/** Sorts `a/b` before `a-b`: names are compared one after the other. */
function keyOf(item: CopyItem): Buffer {
  return Buffer.from(item.path.replaceAll('/', '\u0001'));
}
