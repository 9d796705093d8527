import { readFile } from 'node:fs/promises';
import { type Excludes, parseDockerignore } from '../../lib/context/dockerignore.ts';
import type { Digest } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { Registry } from '../../lib/oci/registry.ts';
import { unpackLayer } from '../../node-agent/images/unpack.ts';
import type { SourceTree } from '../execute/copy-sources.ts';
import { LayeredTree, type TreeNode, TreePathError } from '../layers/layered-tree.ts';

/** Repository in which the gateway stores uploaded folders. */
export const CONTEXTS = 'hearth/contexts';

/** An uploaded folder, unpacked. */
export interface BuildContext {
  tree: LayeredTree;
  /** Names in the folder itself. */
  names: string[];
  /** A file of the folder as text; undefined: there is none. @throws HearthError ContextInvalid */
  readText(path: string): Promise<string | undefined>;
}

/**
 * Fetches the uploaded folder `digest` and unpacks it into `dir`, which is made.
 * @throws HearthError ContextInvalid, ContextTooLarge, BlobNotFound, RegistryUnavailable
 */
export async function openContext(
  registry: Registry,
  digest: Digest,
  dir: string,
): Promise<BuildContext> {
  const blob = await registry.getBlob(CONTEXTS, { digest });
  try {
    await unpackLayer({
      stream: blob as AsyncIterable<Buffer>,
      dir,
      limits: { bytesMax: LIMITS.contextBytesMax, entriesMax: LIMITS.contextEntriesMax },
      whiteouts: false,
      refusedCode: 'ContextInvalid',
    });
  } finally {
    blob.destroy();
  }
  const tree = new LayeredTree([dir]);
  return { tree, names: tree.names(tree.root), readText: (path) => readText(tree, path) };
}

/** The context as COPY sees it: its `.dockerignore` and `more` rules hide files. */
export async function visibleContext(
  context: BuildContext,
  more: readonly string[],
): Promise<SourceTree> {
  const rules = (await context.readText('.dockerignore')) ?? '';
  const text = more.length === 0 ? rules : `${rules}\n${more.join('\n')}\n`;
  const excludes: Excludes | undefined = text === '' ? undefined : parseDockerignore(text);
  return { tree: context.tree, excludes, shown: 'the build context' };
}

async function readText(tree: LayeredTree, path: string): Promise<string | undefined> {
  const node = nodeAt(tree, path);
  if (node === undefined) return undefined;
  if (node.kind !== 'file') throw new HearthError('ContextInvalid', `${path} is not a file`);
  if (node.sizeBytes > LIMITS.dockerfileBytesMax) {
    const message = `${path}: ${node.sizeBytes} bytes, limit ${LIMITS.dockerfileBytesMax}`;
    throw new HearthError('ContextInvalid', message);
  }
  return readFile(node.hostPath, 'utf8');
}

function nodeAt(tree: LayeredTree, path: string): TreeNode | undefined {
  try {
    return tree.resolve(path).node;
  } catch (error) {
    if (!(error instanceof TreePathError)) throw error;
    throw new HearthError('ContextInvalid', `cannot read ${path}: ${error.message}`);
  }
}
