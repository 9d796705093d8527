import { EntryRefused, splitName } from '../../lib/archive/entry-name.ts';

/** Where an entry of a layer goes, and what its name means (image spec v1.1, "Layer Filesystem Changeset"). */
export interface EntryTarget {
  kind: 'entry' | 'whiteout' | 'opaque' | 'ignored';
  /** Components of the folder; empty for the root. */
  parent: readonly string[];
  /** Last component, a whiteout's without its prefix; empty for the root itself and for `opaque`. */
  base: string;
}

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** AUFS keeps its own books under names that start so; they are not content. */
const META = '.wh..wh.';

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
