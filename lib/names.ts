import { HearthError } from './errors.ts';

const NAME = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Names that mean something else in a path, a script or a metric. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'api',
  'constructor',
  'health',
  'healthz',
  'hearth',
  'metrics',
  'prototype',
  'readyz',
  'system',
]);

/**
 * `name` if it is a function name: RFC 1123 label that starts with a letter, 63 bytes at most.
 * @throws HearthError NameInvalid, with a name near it that would be taken
 */
export function parseFunctionName(name: string): string {
  if (NAME.test(name) && !name.endsWith('\n')) {
    if (!RESERVED_NAMES.has(name)) return name;
    throw new HearthError('NameInvalid', `function name "${name}" is reserved`, {
      hint: `reserved are ${[...RESERVED_NAMES].join(', ')}; try ${name}-fn`,
    });
  }
  const near = nearName(name);
  const shown = JSON.stringify(name.slice(0, 80));
  throw new HearthError(
    'NameInvalid',
    `function name must match ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$; got ${shown}`,
    near === undefined ? {} : { hint: `try ${near}` },
  );
}

/** A valid name near to `text`: accents dropped, lower case, other signs to hyphens. */
export function nearName(text: string): string | undefined {
  const plain = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return NAME.test(plain) && !RESERVED_NAMES.has(plain) ? plain : undefined;
}
