import { posix } from 'node:path';

/** What stands at `target`, an absolute path inside. */
export type MountText =
  | { kind: 'volume'; volume: string; target: string; readOnly: boolean }
  | { kind: 'bind'; source: string; target: string; readOnly: boolean };

/** Names of volumes, which are folders' names too. */
export const VOLUME_NAME = /^[a-z0-9][a-z0-9_.-]{0,62}$/;

const FORM = 'VOLUME:TARGET[:ro] or /PATH:TARGET[:ro]';
const PATH_BYTES_MAX = 4095;
/** Every container has these of its own. */
const SYSTEM = ['/proc', '/dev', '/sys'];

/**
 * A volume or a folder of the host as `docker run -v` takes it. A text instead is what is wrong
 * with it.
 */
export function parseMount(text: string): MountText | string {
  const [source = '', target, mode = 'rw', ...more] = text.split(':');
  if (target === undefined || source === '' || more.length > 0) return `must be ${FORM}`;
  if (mode !== 'rw' && mode !== 'ro') return `has an option that is neither ro nor rw: "${mode}"`;
  const fault = targetFault(target);
  if (fault !== undefined) return fault;
  const readOnly = mode === 'ro';
  if (source.startsWith('/')) {
    if (!isPlain(source)) return 'names a path of the host that is not plain and absolute';
    return { kind: 'bind', source, target, readOnly };
  }
  if (VOLUME_NAME.test(source)) return { kind: 'volume', volume: source, target, readOnly };
  return `names a volume that does not match ${VOLUME_NAME.source}; a path of the host starts with /`;
}

/** What is wrong with a path at which something shall be mounted, if anything. */
export function targetFault(target: string): string | undefined {
  if (target === '/') return 'cannot be mounted over /';
  if (!target.startsWith('/')) return `has a target that is not absolute: "${target.slice(0, 80)}"`;
  const own = SYSTEM.find((path) => target === path || target.startsWith(`${path}/`));
  if (own !== undefined) return `has a target in ${own}, which is the container’s own`;
  return isPlain(target) ? undefined : `has a target that is not plain: "${target.slice(0, 80)}"`;
}

function isPlain(path: string): boolean {
  const isShort = Buffer.byteLength(path) <= PATH_BYTES_MAX;
  return isShort && posix.normalize(path) === path && !path.endsWith('/') && !path.includes('\0');
}
