import { createReadStream, lstatSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../lib/limits.ts';
import { openLayer } from '../../lib/oci/read-layer.ts';
import { MEDIA_TYPES } from '../../lib/oci/types.ts';
import { unpackLayer } from '../../node-agent/images/unpack.ts';
import type { CopyAction, PlannedStep } from '../dockerfile/plan-types.ts';
import { LayeredTree, TreePathError } from '../layers/layered-tree.ts';
import { ownerOf, readAccounts } from './accounts.ts';
import { archiveTypeOf } from './archive-type.ts';
import { stepFault } from './build-error.ts';
import { type CopyItem, copyItems } from './copy-items.ts';
import { type CopySource, findSources, type SourceTree } from './copy-sources.ts';

export interface CopyOptions {
  step: PlannedStep;
  action: CopyAction;
  from: SourceTree;
  /** Root file system before the step. */
  rootfs: LayeredTree;
  /** An empty folder for unpacked archives. */
  workFolder: string;
}

/**
 * What a COPY or ADD makes, without making it.
 * @throws HearthError DockerfileInvalid at the instruction; ContextInvalid for a broken archive
 */
export async function planCopyItems(options: CopyOptions): Promise<CopyItem[]> {
  const { step, action, from, rootfs } = options;
  try {
    const found = action.sources.flatMap((source) => findSources(from, source));
    const inline = action.inline.map((file) => ({ kind: 'inline' as const, ...file }));
    const sources = action.unpacks ? await unpackAll(found, options) : found;
    if (sources.length + inline.length > 1 && !action.targetIsFolder) {
      throw new TreePathError(`several files to copy, so the target must end with /`);
    }
    const owner = action.chown === undefined ? undefined : await ownerIn(rootfs, action.chown);
    return copyItems([...sources, ...inline], {
      rootfs,
      path: action.target,
      isFolder: action.targetIsFolder,
      owner,
      mode: action.chmod,
    });
  } catch (error) {
    if (!(error instanceof TreePathError)) throw error;
    throw stepFault(step, `${keywordOf(step)}: ${error.message}`);
  }
}

function keywordOf(step: PlannedStep): string {
  return step.text.split(' ', 1)[0] ?? '';
}

async function ownerIn(rootfs: LayeredTree, chown: string) {
  try {
    return ownerOf(chown, await readAccounts(rootfs));
  } catch (error) {
    throw new TreePathError(`--chown: ${(error as Error).message}`);
  }
}

/** ADD: archives among the sources are replaced by what is in them. */
async function unpackAll(
  sources: readonly CopySource[],
  options: CopyOptions,
): Promise<CopySource[]> {
  const unpacked: CopySource[] = [];
  for (const [index, source] of sources.entries()) {
    const type = source.kind === 'file' ? await typeOfFile(source.node.hostPath) : 'none';
    if (source.kind !== 'file' || type === 'none') {
      unpacked.push(source);
      continue;
    }
    if (type === 'unsupported') {
      throw stepFault(options.step, `ADD cannot unpack ${source.name}: only tar, gzip and zstd`, {
        code: 'UnsupportedInstruction',
        hint: 'COPY the archive and unpack it in a RUN step, or pack it with gzip',
      });
    }
    const dir = join(options.workFolder, `archive-${index}`);
    await mkdir(options.workFolder, { recursive: true });
    await unpackLayer({
      stream: openLayer(createReadStream(source.node.hostPath), type),
      dir,
      limits: { bytesMax: LIMITS.layerBytesMax },
      whiteouts: false,
      refusedCode: 'ContextInvalid',
    });
    const tree = new LayeredTree([dir]);
    unpacked.push({
      kind: 'directory',
      tree,
      node: tree.root,
      path: '',
      excludes: undefined,
      keepsOwners: true,
    });
  }
  return unpacked;
}

const HEAD_BYTES = 512;

async function typeOfFile(path: string): Promise<string> {
  if (lstatSync(path).size < HEAD_BYTES / 8) return 'none';
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const type = archiveTypeOf(buffer.subarray(0, bytesRead));
    if (type === 'tar') return MEDIA_TYPES.layerTar;
    if (type === 'gzip') return MEDIA_TYPES.layerGzip;
    return type === 'zstd' ? MEDIA_TYPES.layerZstd : type;
  } finally {
    await file.close();
  }
}
