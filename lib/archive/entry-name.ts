import { LIMITS } from '../limits.ts';

const COMPONENT_BYTES_MAX = 255;

/** Thrown with the reason when an entry may not be unpacked. */
export class EntryRefused extends Error {
  override readonly name = 'EntryRefused';
}

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
