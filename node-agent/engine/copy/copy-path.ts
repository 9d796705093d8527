import { posix } from 'node:path';
import { HearthError } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';

/** A path of a container as a user wrote it. */
export interface ContainerPath {
  /** Absolute, without `.`, `..` or a slash at its end. */
  path: string;
  /** Its last component; empty for the root. */
  name: string;
  /** With a slash or `/.` at its end a link is followed, and a folder is meant. */
  follow: boolean;
}

/** @throws HearthError BadRequest */
export function parseContainerPath(text: string): ContainerPath {
  const fault = pathFault(text);
  if (fault !== undefined) {
    throw new HearthError(
      'BadRequest',
      `path in a container ${fault}: current value is "${text.slice(0, 200)}"`,
    );
  }
  const path = posix.normalize(text).replace(/(.)\/+$/, '$1');
  return {
    path,
    name: path === '/' ? '' : posix.basename(path),
    follow: path === '/' || /\/\.?$/.test(text),
  };
}

function pathFault(text: string): string | undefined {
  if (!text.startsWith('/')) return 'must be absolute';
  if (text.includes('\0')) return 'must hold no NUL';
  const bytes = Buffer.byteLength(text);
  return bytes < LIMITS.pathBytesMax ? undefined : `must have < ${LIMITS.pathBytesMax} bytes`;
}
