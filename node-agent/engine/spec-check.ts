import { posix } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import type { ContainerSpec } from './container-spec.ts';
import { networkFault } from './network/network-check.ts';
import { capabilityNumber } from './seccomp/capabilities.ts';
import { type MountRules, mountFault } from './storage/mount-check.ts';

const ID = /^[a-z0-9-]{1,64}$/;
const HOSTNAME = /^[A-Za-z0-9.-]{1,64}$/;
const FOLDER_NAME = /^[A-Za-z0-9._-]{1,200}$/;
const ID_MAX = 65_535;
const SOCKET_PATH_BYTES_MAX = 107;
/** cpu.weight of Documentation/admin-guide/cgroup-v2.rst. */
const CPU_WEIGHT_MAX = 10_000;

/**
 * First fault of a spec, as a sentence; undefined if there is none. The kernel would refuse most of
 * these too, but later and with fewer words.
 */
export function specFault(spec: ContainerSpec): string | undefined {
  return (
    identityFault(spec) ??
    programFault(spec) ??
    pathFault(spec) ??
    resourceFault(spec) ??
    networkFault(spec)
  );
}

/** @throws HearthError StartFailed, ConfigInvalid for a spec that cannot be run on this node. */
export function checkSpec(spec: ContainerSpec, rules: MountRules): void {
  const begin = `cannot start container "${spec.id}":`;
  const fault = specFault(spec);
  if (fault !== undefined) throw new HearthError('StartFailed', `${begin} ${fault}`);
  const wrong = mountFault(spec, rules);
  if (wrong === undefined) return;
  const hint = wrong.hint === undefined ? {} : { hint: wrong.hint };
  throw new HearthError(wrong.code, `${begin} ${wrong.message}`, hint);
}

function identityFault(spec: ContainerSpec): string | undefined {
  if (!ID.test(spec.id)) return `id must match ${ID.source}`;
  if (!HOSTNAME.test(spec.hostname))
    return `hostname must match ${HOSTNAME.source}: "${spec.hostname}"`;
  const { uid, gid, groups } = spec.user;
  const wrong = [uid, gid, ...groups].find((n) => !Number.isInteger(n) || n < 0 || n > ID_MAX);
  if (wrong !== undefined) return `user and group ids must be 0–${ID_MAX}: found ${wrong}`;
  const unknown = spec.capabilities.find((name) => capabilityNumber(name) === undefined);
  return unknown === undefined ? undefined : `capability "${unknown}" does not exist`;
}

function programFault(spec: ContainerSpec): string | undefined {
  if (spec.argv.length === 0 || spec.argv[0] === '') return 'argv is empty';
  if ([...spec.argv, ...spec.env].some((text) => text.includes('\0'))) {
    return 'an argument or variable holds a NUL';
  }
  return spec.env.every((entry) => entry.indexOf('=') > 0) ? undefined : 'env must be NAME=value';
}

function pathFault(spec: ContainerSpec): string | undefined {
  const { layers } = spec;
  if (layers.length === 0 || layers.length > LIMITS.layersMax) {
    return `layers must be 1–${LIMITS.layersMax}: found ${layers.length}`;
  }
  const binds = spec.binds ?? [];
  const hostPaths = [...layers, ...binds.map(({ source }) => source)];
  const insidePaths = [...Object.keys(spec.files ?? {}), ...binds.map(({ target }) => target)];
  if (!spec.cwd.startsWith('/')) return `working folder must be absolute: "${spec.cwd}"`;
  for (const path of [...hostPaths, ...insidePaths]) {
    if (!isPlainAbsolute(path)) return `path must be absolute and plain: "${path}"`;
  }
  const { upperDir, listenPath } = spec;
  if (upperDir !== undefined && !isPlainAbsolute(upperDir))
    return `upperDir must be absolute and plain`;
  // Overlay's option string has signs of its own
  if (upperDir !== undefined && !FOLDER_NAME.test(posix.basename(upperDir))) {
    return `the name of upperDir must match ${FOLDER_NAME.source}: "${upperDir}"`;
  }
  if (listenPath === undefined) return undefined;
  if (!isPlainAbsolute(listenPath)) return 'listenPath must be absolute and plain';
  if (Buffer.byteLength(listenPath) <= SOCKET_PATH_BYTES_MAX) return undefined;
  return `listenPath must have <= ${SOCKET_PATH_BYTES_MAX} bytes: "${listenPath}"`;
}

function isPlainAbsolute(path: string): boolean {
  const plain = path !== '/' && posix.normalize(path) === path && !path.endsWith('/');
  return path.startsWith('/') && plain && !path.includes('\0');
}

function resourceFault(spec: ContainerSpec): string | undefined {
  const { swapBytes = 0, writable = 'memory', cpuWeight = 1, ...sizes } = spec.resources;
  for (const [name, value] of Object.entries({ ...sizes, cpuWeight })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      return `${name} must be a whole number >= 1: current value is ${value}`;
    }
  }
  if (!Number.isSafeInteger(swapBytes) || swapBytes < 0) {
    return `swapBytes must be a whole number >= 0: current value is ${swapBytes}`;
  }
  if (cpuWeight > CPU_WEIGHT_MAX) {
    return `cpuWeight must be 1–${CPU_WEIGHT_MAX}: current value is ${cpuWeight}`;
  }
  if (writable !== 'memory' && writable !== 'disk') {
    return `writable must be memory or disk: "${writable}"`;
  }
  const isTwice = writable === 'disk' && spec.upperDir !== undefined;
  return isTwice ? 'writable is disk, and there is an upperDir' : undefined;
}
