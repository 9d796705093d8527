import { posix } from 'node:path';
import type { ErrorCode } from '../../../lib/errors.ts';
import { LIMITS } from '../../../lib/limits.ts';
import type { ContainerMount, ContainerSpec } from '../container-spec.ts';
import { type BindRoot, bindRootOf, overlaps } from './bind-root.ts';

/** Names of volumes, which are folders' names too: none is `.`, hidden, or has a separator. */
const VOLUME_NAME = /^[a-z0-9][a-z0-9_.-]{0,62}$/;

const PATH_BYTES_MAX = 4095;
/** What the engine itself mounts; what is in them is decided by it alone. */
const RESERVED = ['/proc', '/dev', '/sys'];

/** What of the node decides whether a mount is allowed. */
export interface MountRules {
  bindRoots: readonly BindRoot[];
  /** Folder of the engine's own files, canonical. */
  stateDir: string;
  /** Further folders that no bind mount may show, canonical. */
  ownPaths: readonly string[];
}

/** A mount that cannot be, in the words of an error. */
export interface MountFault {
  code: ErrorCode;
  message: string;
  hint?: string;
}

/** First fault of a spec's mounts; undefined if there is none. */
export function mountFault(spec: ContainerSpec, rules: MountRules): MountFault | undefined {
  const mounts = spec.mounts ?? [];
  const most = LIMITS.containerMountsMax;
  if (mounts.length > most) return invalid(`${mounts.length} mounts, limit ${most}`);
  const seen = new Set<string>();
  for (const mount of mounts) {
    const fault = targetFault(mount.target, spec, seen) ?? sourceFault(mount, rules);
    if (fault !== undefined) return fault;
    seen.add(mount.target);
  }
  return undefined;
}

function invalid(message: string, hint?: string): MountFault {
  return { code: 'ConfigInvalid', message, ...(hint === undefined ? {} : { hint }) };
}

function targetFault(
  target: string,
  spec: ContainerSpec,
  seen: ReadonlySet<string>,
): MountFault | undefined {
  if (target === '/') return invalid('nothing can be mounted at "/"', 'name a folder below it');
  if (!isPlainAbsolute(target)) {
    return invalid(`mount target must be absolute and plain: "${target.slice(0, 200)}"`);
  }
  if (seen.has(target)) return invalid(`two mounts at "${target}"`);
  const reserved = RESERVED.find((path) => target === path || target.startsWith(`${path}/`));
  if (reserved !== undefined) {
    const hint = 'a container has its own /proc, /dev and /sys; shmBytes is the size of /dev/shm';
    return invalid(`mount target "${target}" is reserved: it lies in ${reserved}`, hint);
  }
  const platform = (spec.binds ?? []).find((bind) => overlaps(bind.target, target));
  if (platform === undefined) return undefined;
  return invalid(`mount target "${target}" is reserved: the platform mounts "${platform.target}"`);
}

function sourceFault(mount: ContainerMount, rules: MountRules): MountFault | undefined {
  if (mount.kind === 'volume') return volumeNameFault(mount.volume);
  if (mount.kind === 'bind') return bindFault(mount.source, rules);
  if (mount.kind !== 'tmpfs') return invalid('mounts are of kind volume, bind or tmpfs');
  const { sizeBytes, target } = mount;
  if (Number.isSafeInteger(sizeBytes) && sizeBytes >= 1) return undefined;
  return invalid(
    `size of the tmpfs at "${target}" must be bytes >= 1: current value is ${sizeBytes}`,
  );
}

/** What is wrong with the name of a volume. */
export function volumeNameFault(name: string): MountFault | undefined {
  if (VOLUME_NAME.test(name)) return undefined;
  const message = `volume name must match ${VOLUME_NAME.source}: current value is "${name.slice(0, 100)}"`;
  return { code: 'NameInvalid', message };
}

function bindFault(source: string, rules: MountRules): MountFault | undefined {
  const allowed = rules.bindRoots.map(({ path }) => path);
  const list = allowed.length === 0 ? 'nothing' : allowed.join(', ');
  if (!isPlainAbsolute(source)) {
    return invalid(`bind path must be absolute and plain: "${source.slice(0, 200)}"`);
  }
  const found = bindRootOf(source, rules.bindRoots);
  if (found === undefined) {
    return invalid(
      `bind path "${source}" is not allowed on this node; allowed: ${list}`,
      'add the folder to bindPaths in the configuration of the node agent, or use a volume',
    );
  }
  const real = posix.join(found.root.real, found.path);
  const own = [rules.stateDir, ...rules.ownPaths].find((path) => overlaps(real, path));
  if (own === undefined) return undefined;
  return invalid(
    `bind path "${source}" is not allowed on this node: the platform’s own files are there`,
  );
}

function isPlainAbsolute(path: string): boolean {
  const isPlain = posix.normalize(path) === path && !path.endsWith('/') && !path.includes('\0');
  return path.startsWith('/') && isPlain && Buffer.byteLength(path) <= PATH_BYTES_MAX;
}
