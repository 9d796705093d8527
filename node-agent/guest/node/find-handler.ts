import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { HandlerInvalid } from './guest-error.ts';

const EXTENSIONS = ['mjs', 'js', 'cjs', 'ts', 'mts', 'cts'];
const NAMES = ['index', 'handler', 'app', 'server', 'function', 'main'];
const FOLDERS = ['', 'src', 'dist'];

/**
 * Absolute path of the handler's file in `root`: `asked` (`HEARTH_HANDLER`), else what
 * package.json names, else the first of index, handler, app, server, function, main in the folder,
 * `src` or `dist`.
 * @throws HandlerInvalid that names what was looked for
 */
export function findHandler(root: string, asked: string | undefined): string {
  if (asked !== undefined && asked !== '') {
    const file = existing(resolve(root, asked));
    if (file !== undefined) return file;
    throw new HandlerInvalid(`handler "${asked}" is not a file in ${root}`);
  }
  const entry = packageEntry(root);
  if (entry !== undefined) {
    const file = existing(resolve(root, entry));
    if (file !== undefined) return file;
  }
  for (const folder of FOLDERS) {
    for (const name of NAMES) {
      const file = withExtension(join(root, folder, name));
      if (file !== undefined) return file;
    }
  }
  const missing = entry === undefined ? '' : `; package.json names "${entry}", which is not there`;
  throw new HandlerInvalid(
    `no handler in ${root}: looked for ${NAMES.join(', ')} as ${EXTENSIONS.join(', ')}${missing}`,
  );
}

/** `path` as it is, with an extension, or as a folder with an index. */
function existing(path: string): string | undefined {
  if (isFile(path)) return path;
  return withExtension(path) ?? withExtension(join(path, 'index'));
}

function withExtension(path: string): string | undefined {
  return EXTENSIONS.map((extension) => `${path}.${extension}`).find(isFile);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Entry point of package.json: `exports["."]` for an import, else `main`. */
function packageEntry(root: string): string | undefined {
  const path = join(root, 'package.json');
  if (!existsSync(path)) return undefined;
  let parsed: { exports?: unknown; main?: unknown } | null;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8')) as typeof parsed;
  } catch (error) {
    throw new HandlerInvalid(`package.json is not JSON: ${(error as Error).message}`);
  }
  const main = parsed?.main;
  return exportsEntry(parsed?.exports) ?? (typeof main === 'string' ? main : undefined);
}

const CONDITIONS = ['.', 'node', 'import', 'default', 'require'];

/** Nodes's rule for `exports`, as far as one entry point needs it: four levels at most. */
function exportsEntry(exports: unknown, depth = 0): string | undefined {
  if (typeof exports === 'string') return exports;
  if (typeof exports !== 'object' || exports === null || depth > 3) return undefined;
  const object = exports as Record<string, unknown>;
  for (const condition of CONDITIONS) {
    const entry = Object.hasOwn(object, condition)
      ? exportsEntry(object[condition], depth + 1)
      : undefined;
    if (entry !== undefined) return entry;
  }
  return undefined;
}
