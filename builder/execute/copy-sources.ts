import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { Excludes } from '../../lib/context/dockerignore.ts';
import { compileGlob, matchGlob } from '../../lib/context/glob.ts';
import { suggest } from '../../lib/suggest.ts';
import { type LayeredTree, type TreeNode, TreePathError } from '../layers/layered-tree.ts';

/** One thing to copy, found. */
export type CopySource =
  | {
      kind: 'directory';
      tree: LayeredTree;
      node: TreeNode;
      /** From the root of its tree; the root is the empty text. */
      path: string;
      excludes: Excludes | undefined;
      /** Owners are those of the source: for unpacked archives. */
      keepsOwners: boolean;
    }
  | { kind: 'file'; node: TreeNode; name: string }
  | { kind: 'inline'; name: string; content: string };

export interface SourceTree {
  tree: LayeredTree;
  /** Names that are as if they were not there. */
  excludes: Excludes | undefined;
  /** For messages: `the build context`. */
  shown: string;
}

const GLOB = /[*?[\\]/;

/**
 * What `source`, a path or a glob from the root, names in the tree.
 * @throws TreePathError when it names nothing
 */
export function findSources(from: SourceTree, source: string): CopySource[] {
  const paths = GLOB.test(source) ? expandGlob(from, source) : [source === '.' ? '' : source];
  const found = paths.map((path) => findOne(from, path)).filter((one) => one !== undefined);
  if (found.length > 0) return found;
  throw new TreePathError(`${source} is not in ${from.shown}${whyNot(from, source)}`);
}

/** A link that is named itself is followed inside the tree, as Docker does. */
function findOne(from: SourceTree, path: string): CopySource | undefined {
  const { node, path: real } = from.tree.resolve(path);
  const relative = real.slice(1);
  if (node === undefined) return undefined;
  const isExcluded = path !== '' && (from.excludes?.(path) ?? false);
  if (node.kind === 'directory') {
    if (isExcluded && !from.excludes?.hasExceptions) return undefined;
    const { tree, excludes } = from;
    return { kind: 'directory', tree, node, path: relative, excludes, keepsOwners: false };
  }
  if (isExcluded) return undefined;
  if (node.kind === 'file') return { kind: 'file', node, name: basename(path) };
  throw new TreePathError(`${path} is neither a file nor a directory`);
}

/** Each name of the pattern is matched on its own: `*` does not cross a `/`. */
function expandGlob(from: SourceTree, pattern: string): string[] {
  let found: { path: string; node: TreeNode }[] = [{ path: '', node: from.tree.root }];
  for (const part of pattern.split('/')) {
    const tokens = tokensOf(pattern, part);
    found = found.flatMap(({ path, node }) => {
      if (node.kind !== 'directory') return [];
      return from.tree
        .names(node)
        .filter((name) => matchGlob(tokens, name))
        .flatMap((name) => {
          const child = from.tree.child(node, name);
          const full = path === '' ? name : `${path}/${name}`;
          return child === undefined ? [] : [{ path: full, node: child }];
        });
    });
  }
  return found.map(({ path }) => path);
}

function tokensOf(pattern: string, part: string) {
  try {
    return compileGlob(part);
  } catch (error) {
    throw new TreePathError(`${pattern}: ${(error as Error).message}`);
  }
}

function whyNot(from: SourceTree, source: string): string {
  if (GLOB.test(source)) return '';
  if (from.excludes?.(source)) return ': .dockerignore excludes it';
  const { node: link } = from.tree.resolve(source, { followLast: false });
  if (link?.kind === 'symlink') {
    return `: it is a link to ${readlinkSync(link.hostPath)}, and links do not lead out`;
  }
  const { names, child } = siblings(from, source);
  const near = suggest(child, names);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

function siblings(from: SourceTree, source: string): { names: string[]; child: string } {
  const cut = source.lastIndexOf('/');
  const folder = cut === -1 ? '' : source.slice(0, cut);
  const { node } = from.tree.resolve(folder);
  const names = node?.kind === 'directory' ? from.tree.names(node).slice(0, 1000) : [];
  const shown = cut === -1 ? names : names.map((name) => `${folder}/${name}`);
  return { names: shown, child: source };
}
