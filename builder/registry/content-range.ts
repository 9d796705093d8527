/**
 * The byte range of a `Range` header over `size` bytes (RFC 9110, section 14); undefined: send all,
 * `unsatisfiable`: 416. More ranges than one are answered with the whole, as the RFC allows.
 */
export function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  if (header === undefined || header.includes(',')) return undefined;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  return start >= size || start > end ? 'unsatisfiable' : { start, end };
}

/** Start of a chunk by its `Content-Range: 0-99` (distribution spec: without `bytes`). */
export function parseChunkStart(header: string | undefined): number | undefined | 'invalid' {
  if (header === undefined) return undefined;
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/.*)?$/.exec(header.trim());
  return match === null ? 'invalid' : Number(match[1]);
}

/** One page of sorted names: after `last`, `limit` of them at most. */
export function pageOf(
  names: readonly string[],
  options: { last?: string | undefined; limit?: number | undefined },
): { names: string[]; more: boolean } {
  const { last, limit } = options;
  const after = last === undefined ? [...names] : names.filter((name) => name > last);
  if (limit === undefined || limit >= after.length) return { names: after, more: false };
  return { names: after.slice(0, limit), more: limit > 0 };
}
