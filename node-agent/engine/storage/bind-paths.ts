import { realpathSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { HearthError } from '../../../lib/errors.ts';
import type { BindRoot } from './bind-root.ts';

const HINT = 'bindPaths of the node agent names folders of this machine that containers may mount';

/**
 * Where the allowed folders really are, once, while nobody who could move them runs.
 * @throws HearthError ConfigInvalid
 */
export function resolveBindPaths(paths: readonly string[]): BindRoot[] {
  return paths.map((path) => {
    if (!path.startsWith('/') || path === '/' || posix.normalize(path) !== path) {
      throw invalid(`bindPaths must be plain absolute folders other than "/": "${path}"`);
    }
    const trimmed = path.endsWith('/') ? path.slice(0, -1) : path;
    return { path: trimmed, real: realFolder(trimmed) };
  });
}

function realFolder(path: string): string {
  let real: string;
  try {
    real = realpathSync(path);
  } catch (cause) {
    throw invalid(`folder "${path}" of bindPaths cannot be opened: ${(cause as Error).message}`);
  }
  if (real === '/') throw invalid(`folder "${path}" of bindPaths is the root of this machine`);
  if (statSync(real).isDirectory()) return real;
  throw invalid(`"${path}" of bindPaths is not a folder`);
}

function invalid(message: string): HearthError {
  return new HearthError('ConfigInvalid', message, { hint: HINT });
}
