import {
  createReadStream,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import type { TarSource } from '../../lib/archive/tar.ts';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { byBytes } from './layered-tree.ts';
import { isOpaque, isWhiteout } from './overlay-marks.ts';

const WHITEOUT = '.wh.';
/** With its slash: NAME_MAX of limits.h. */
const NAME_BYTES_MAX = 256;
const OPAQUE = '.wh..wh..opq';
/** Larger bodies are streamed; smaller ones are read at once, which takes a tenth of the time. */
const WHOLE_BYTES_MAX = 64 * 1024;

export interface LayerEntriesOptions {
  /** Later times are set to this one, so that a build can be repeated: SOURCE_DATE_EPOCH. */
  mtimeMsMax?: number;
}

/**
 * The entries of a layer's archive from an overlay upper folder (OCI image spec, "Image Layer
 * Filesystem Changeset"): sorted by name, whiteouts before their siblings, hard links to the first
 * name, whole seconds, no user names. Sockets, FIFOs and devices are left out. The same folder
 * gives the same entries.
 */
export async function* layerEntries(
  folder: string,
  options: LayerEntriesOptions = {},
): AsyncGenerator<TarSource> {
  const walk: Walk = { links: new Map(), entries: 0, options };
  yield* directory(folder, '', walk);
}

interface Walk {
  /** First name of each inode that has several. */
  links: Map<string, string>;
  entries: number;
  options: LayerEntriesOptions;
}

async function* directory(folder: string, prefix: string, walk: Walk): AsyncGenerator<TarSource> {
  const children = readdirSync(folder)
    .sort(byBytes)
    .map((name) => ({ name, stat: statOf(join(folder, name)) }));
  for (const { name, stat } of children) {
    if (!isWhiteout(stat)) continue;
    count(walk);
    yield marker(`${prefix}${WHITEOUT}${name}`);
  }
  for (const { name, stat } of children) {
    if (isWhiteout(stat)) continue;
    if (name.startsWith(WHITEOUT)) throw reservedName(`${prefix}${name}`);
    count(walk);
    const path = join(folder, name);
    if (stat.isDirectory()) requireShallow(path, `${prefix}${name}`);
    if (!stat.isDirectory()) {
      const entry = leaf(path, `${prefix}${name}`, { stat, walk });
      if (entry !== undefined) yield entry;
      continue;
    }
    yield { ...attributes(stat, walk), name: `${prefix}${name}/`, type: 'directory', sizeBytes: 0 };
    if (isOpaque(path)) yield marker(`${prefix}${name}/${OPAQUE}`);
    yield* directory(path, `${prefix}${name}/`, walk);
  }
}

function leaf(
  path: string,
  name: string,
  { stat, walk }: { stat: Stats; walk: Walk },
): TarSource | undefined {
  const common = { ...attributes(stat, walk), name };
  if (stat.isSymbolicLink()) {
    return { ...common, type: 'symlink', sizeBytes: 0, linkname: readlinkSync(path) };
  }
  if (!stat.isFile()) return undefined;
  if (stat.nlink > 1) {
    const inode = `${stat.dev}:${stat.ino}`;
    const first = walk.links.get(inode);
    if (first !== undefined) return { ...common, type: 'link', sizeBytes: 0, linkname: first };
    walk.links.set(inode, name);
  }
  const sizeBytes = stat.size;
  if (sizeBytes > WHOLE_BYTES_MAX) {
    return { ...common, type: 'file', sizeBytes, body: () => createReadStream(path) };
  }
  return { ...common, type: 'file', sizeBytes, body: readFileSync(path) };
}

function attributes(stat: Stats, { options }: Walk) {
  const mtimeMs = Math.floor(stat.mtimeMs / 1000) * 1000;
  return {
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtimeMs: Math.min(mtimeMs, options.mtimeMsMax ?? Number.MAX_SAFE_INTEGER),
  };
}

function marker(name: string): TarSource {
  return { name, type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeMs: 0, sizeBytes: 0 };
}

function count(walk: Walk): void {
  walk.entries++;
  if (walk.entries <= LIMITS.layerEntriesMax) return;
  throw new HearthError('BuildStepFailed', `layer has more than ${LIMITS.layerEntriesMax} files`, {
    hint: 'install less in one step, or list what is not needed in .dockerignore',
  });
}

/** Before it is entered: what is in it must have a path, here and where the image is unpacked. */
function requireShallow(path: string, inImage: string): void {
  const isDeep = inImage.split('/').length >= LIMITS.pathDepthMax;
  if (!isDeep && Buffer.byteLength(path) < LIMITS.pathBytesMax - NAME_BYTES_MAX) return;
  throw new HearthError('BuildStepFailed', `"${inImage.slice(0, 80)}…" is too deep for an image`, {
    hint: `an image takes ${LIMITS.pathDepthMax} folders in each other and paths of ${LIMITS.pathBytesMax} bytes`,
  });
}

function reservedName(path: string): HearthError {
  return new HearthError('BuildStepFailed', `"${path}" cannot be a file of an image`, {
    hint: `names that begin with ${WHITEOUT} mean removals in an image; rename the file`,
  });
}

/** A name that is not UTF-8 reads back as another one, which does not exist. */
function statOf(path: string): Stats {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat !== undefined) return stat;
  throw new HearthError('BuildStepFailed', `the name of ${JSON.stringify(path)} is not UTF-8`, {
    hint: 'rename or remove the file in the step that makes it',
  });
}
