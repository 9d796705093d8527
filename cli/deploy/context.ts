import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseDockerignore } from '../../lib/context/dockerignore.ts';
import {
  type GeneratedDockerfile,
  generateDockerfile,
} from '../../lib/context/generated-dockerfile.ts';
import { errnoCode, HearthError } from '../../lib/errors.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { mayHoldSecret, secretIn } from './secret-check.ts';
import { checkSize } from './size-check.ts';
import { type ContextEntry, type Walk, walkContext } from './walk.ts';

/** A folder that can be packed. */
export interface BuildContext {
  root: string;
  entries: ContextEntry[];
  totalBytes: number;
  warnings: string[];
}

/** What a folder without a Dockerfile and without a .dockerignore leaves out. */
const DEFAULT_IGNORE = [
  '.git',
  '.hg',
  '.svn',
  '**/.DS_Store',
  '**/__pycache__',
  '**/*.pyc',
  '.venv',
  'venv',
];

/**
 * Looks at the folder and at its ignore file.
 * @throws HearthError ContextInvalid, ContextUnreadable, ContextTooLarge
 */
export function readContext(root: string, spec: FunctionSpec): BuildContext {
  const { excludes, always } = ignoreRules(root, spec);
  const walk = walkContext({ root, excludes, always });
  checkSize(walk);
  return {
    root,
    entries: walk.entries,
    totalBytes: walk.totalBytes,
    warnings: [...skippedWarnings(walk), ...secretWarnings(root, walk)],
  };
}

/** @throws HearthError ContextInvalid unless `folder` is a folder */
export function requireFolder(folder: string, shown: string): void {
  let isFolder: boolean;
  try {
    isFolder = statSync(folder).isDirectory();
  } catch (cause) {
    const why = errnoCode(cause) === 'ENOENT' ? 'does not exist' : (cause as Error).message;
    throw new HearthError('ContextInvalid', `folder ${shown} ${why}`, { cause });
  }
  if (isFolder) return;
  throw new HearthError('ContextInvalid', `${shown} is a file, not a folder`, {
    hint: 'name the folder that it is in',
  });
}

/** `<Dockerfile>.dockerignore` goes before `.dockerignore`, as in BuildKit. */
function ignoreRules(root: string, spec: FunctionSpec) {
  const isOwn = spec.runtime === 'dockerfile';
  const own = isOwn ? [`${spec.dockerfile}.dockerignore`] : [];
  const file = [...own, '.dockerignore'].find((name) => existsSync(join(root, name)));
  const always = new Set(isOwn ? [spec.dockerfile] : []);
  if (file !== undefined) always.add(file);
  const rules = [
    file === undefined ? DEFAULT_IGNORE.join('\n') : readFileSync(join(root, file), 'utf8'),
    ...(isOwn ? [] : folderDockerfile(root, spec).excludes),
  ];
  const text = isOwn && file === undefined ? '' : rules.join('\n');
  return { excludes: parseDockerignore(text), always };
}

/** The Dockerfile that the builder will write for a folder without one. */
export function folderDockerfile(root: string, spec: FunctionSpec): GeneratedDockerfile {
  const path = join(root, 'package.json');
  return generateDockerfile(spec, {
    names: readdirSync(root),
    ...(existsSync(path) ? { packageJson: readFileSync(path, 'utf8') } : {}),
  });
}

const SHOWN_MAX = 5;

function skippedWarnings({ skipped }: Walk): string[] {
  if (skipped.length === 0) return [];
  const more = skipped.length > SHOWN_MAX ? ` and ${skipped.length - SHOWN_MAX} more` : '';
  const shown = skipped.slice(0, SHOWN_MAX).join(', ');
  return [`left out, as a socket, FIFO or device has no place in an image: ${shown}${more}`];
}

const SECRET_FILE_BYTES_MAX = 256 * 1024;

function secretWarnings(root: string, walk: Walk): string[] {
  const suspects = walk.entries.filter(
    ({ type, path, sizeBytes }) =>
      type === 'file' && sizeBytes <= SECRET_FILE_BYTES_MAX && mayHoldSecret(path),
  );
  return suspects.flatMap(({ path }) => {
    const found = secretIn(path, readIfPossible(join(root, path)));
    if (found === undefined) return [];
    return [`${path} is in the build context (${found}); add it to .dockerignore`];
  });
}

/** A file that cannot be read fails the packing later, with its name. */
function readIfPossible(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
