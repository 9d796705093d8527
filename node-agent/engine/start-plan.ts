import { posix } from 'node:path';
import type { ContainerSpec } from './container-spec.ts';
import { PROGRAM_PID } from './launcher/init/init-code.ts';
import type { SkeletonEntry, StartPlan, UpperPlan } from './launcher/messages.ts';
import type { UserMount } from './launcher/mounts/mount-messages.ts';
import { BASE_SKELETON } from './launcher/mounts/root-parts.ts';
import { capabilityNumber } from './seccomp/capabilities.ts';
import { defaultInodes } from './storage/inodes.ts';

/** What the engine has prepared for a container. */
export interface PreparedContainer {
  uidBase: number;
  mounts: readonly UserMount[];
  /** File of a writable layer on disk. */
  disk?: string;
  netns?: string;
  stdout: string;
  stderr: string;
  status?: string;
}

/** The launcher's orders for a container. */
export function planStart(spec: ContainerSpec, given: PreparedContainer): StartPlan {
  const { disk, ...prepared } = given;
  // A user's own file at the same place is the one that counts
  const targets = new Set(prepared.mounts.map(({ target }) => target));
  const files = Object.entries(spec.files ?? {})
    .filter(([target]) => !targets.has(target))
    .map(([target, text]) => ({ target, text }));
  const binds = spec.binds ?? [];
  return {
    ...prepared,
    id: spec.id,
    hostname: spec.hostname,
    layers: spec.layers,
    upper: planUpper(spec, disk),
    skeleton: planSkeleton(
      files.map(({ target }) => target),
      binds.map(({ target }) => target),
    ),
    files,
    binds,
    user: spec.user,
    capabilities: spec.capabilities.flatMap((name) => capabilityNumber(name) ?? []),
    argv: spec.argv,
    env: planEnv(spec),
    cwd: spec.cwd,
    openFiles: spec.resources.openFiles,
    ...(spec.resources.shmBytes === undefined ? {} : { shmBytes: spec.resources.shmBytes }),
    ...(spec.listenPath === undefined ? {} : { listenPath: spec.listenPath }),
  };
}

function planUpper(spec: ContainerSpec, disk: string | undefined): UpperPlan {
  const { upperDir, resources } = spec;
  if (upperDir === undefined) {
    if (disk !== undefined) return { kind: 'disk', image: disk };
    const { diskBytes: bytes, inodes } = resources;
    return { kind: 'memory', bytes, inodes: inodes ?? defaultInodes(bytes) };
  }
  return { kind: 'folder', parent: posix.dirname(upperDir), name: posix.basename(upperDir) };
}

/** The spec's variables, and those that say which descriptors the program was given. */
function planEnv(spec: ContainerSpec): string[] {
  const given: string[] = [];
  // sd_listen_fds(3) wants the pid as the program sees it
  if (spec.listenPath !== undefined) given.push('LISTEN_FDS=1', `LISTEN_PID=${PROGRAM_PID}`);
  if (spec.statusPipe === true) {
    given.push(`HEARTH_STATUS_FD=${spec.listenPath === undefined ? 3 : 4}`);
  }
  const names = new Set(given.map((entry) => entry.split('=', 1)[0]));
  return [...spec.env.filter((entry) => !names.has(entry.split('=', 1)[0])), ...given];
}

/**
 * Mount points for an image that lacks them, but those that every container has. They lie in a layer below the image's, so that a build
 * step's upper layer shows nothing of them. Parents come before their children.
 */
export function planSkeleton(
  files: readonly string[],
  folders: readonly string[],
): SkeletonEntry[] {
  const base = new Set(BASE_SKELETON.map(({ path }) => path));
  const entries = new Map<string, SkeletonEntry>();
  const has = (path: string): boolean => base.has(path) || entries.has(path);
  const addFolders = (path: string): void => {
    if (path === '' || path === '.' || has(path)) return;
    addFolders(posix.dirname(path));
    entries.set(path, { path, kind: 'folder', mode: 0o755 });
  };
  for (const folder of folders) addFolders(folder.slice(1));
  for (const file of files) {
    const path = file.slice(1);
    addFolders(posix.dirname(path));
    if (!has(path)) entries.set(path, { path, kind: 'file', mode: 0o644 });
  }
  return [...entries.values()];
}
