import { LIMITS } from '../../lib/limits.ts';

/** Where an entry of a layer goes, and what its name means (image spec v1.1, "Layer Filesystem Changeset"). */
export interface EntryTarget {
  kind: 'entry' | 'whiteout' | 'opaque' | 'ignored';
  /** Components of the folder; empty for the root. */
  parent: readonly string[];
  /** Last component, a whiteout's without its prefix; empty for the root itself and for `opaque`. */
  base: string;
}

/** Thrown with the reason when an entry may not be unpacked. */
export class EntryRefused extends Error {
  override readonly name = 'EntryRefused';
}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** AUFS keeps its own books under names that start so; they are not content. */
const META = '.wh..wh.';
const COMPONENT_BYTES_MAX = 255;

/**
 * Components of a name; `/a`, `./a` and `a//` are `a`. Empty for the root.
 * @throws EntryRefused for `..`, a NUL, bytes that are not UTF-8, or a name that is too long
 */
export function splitName(name: string): string[] {
  if (name === '') throw new EntryRefused('the name is empty');
  if (Buffer.byteLength(name) > LIMITS.pathBytesMax) {
    throw new EntryRefused(`the name is longer than ${LIMITS.pathBytesMax} bytes`);
  }
  // The archive's reader puts U+FFFD where bytes are not UTF-8: two names could become one.
  if (/[\0\ufffd]/.test(name)) throw new EntryRefused('the name is not plain UTF-8');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length > LIMITS.pathDepthMax) {
    throw new EntryRefused(`the name is deeper than ${LIMITS.pathDepthMax} folders`);
  }
  for (const part of parts) {
    if (part === '..') throw new EntryRefused('the name leaves its folder');
    if (Buffer.byteLength(part) > COMPONENT_BYTES_MAX) {
      throw new EntryRefused(`a component is longer than ${COMPONENT_BYTES_MAX} bytes`);
    }
  }
  return parts;
}

/**
 * Target of an entry. With `whiteouts` false, names that start with `.wh.` are names like others.
 * @throws EntryRefused
 */
export function parseEntryName(name: string, options: { whiteouts: boolean }): EntryTarget {
  const parts = splitName(name);
  const parent = parts.slice(0, -1);
  const base = parts.at(-1) ?? '';
  if (!options.whiteouts) return { kind: 'entry', parent, base };
  if (parent.some((part) => part.startsWith(WHITEOUT))) {
    throw new EntryRefused('a whiteout is not a folder');
  }
  if (!base.startsWith(WHITEOUT)) return { kind: 'entry', parent, base };
  if (base === OPAQUE) return { kind: 'opaque', parent, base: '' };
  if (base.startsWith(META)) return { kind: 'ignored', parent, base };
  const hidden = base.slice(WHITEOUT.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw new EntryRefused('the whiteout has no name');
  }
  return { kind: 'whiteout', parent, base: hidden };
}
