import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { formatBytes } from '../../lib/units.ts';
import type { Walk } from './walk.ts';

const NAMED_MAX = 3;

/** @throws HearthError ContextTooLarge that names the biggest entries of the folder */
export function checkSize(walk: Walk, limitBytes: number = LIMITS.contextBytesMax): void {
  if (walk.totalBytes <= limitBytes) return;
  const sizes = `${formatBytes(walk.totalBytes)}, limit ${formatBytes(limitBytes)}`;
  const biggest = biggestEntries(walk)
    .map(([name, bytes]) => `${name} ${formatBytes(bytes)}`)
    .join(', ');
  throw new HearthError('ContextTooLarge', `the folder is ${sizes}; biggest: ${biggest}`, {
    hint: 'leave out with .dockerignore what the function does not need',
  });
}

function biggestEntries(walk: Walk): [string, number][] {
  const sums = new Map<string, number>();
  for (const { path, sizeBytes } of walk.entries) {
    const top = path.split('/', 1)[0] ?? path;
    sums.set(top, (sums.get(top) ?? 0) + sizeBytes);
  }
  return [...sums].sort(([, a], [, b]) => b - a).slice(0, NAMED_MAX);
}
