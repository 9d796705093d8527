import { posix } from 'node:path';
import type { ContainerMount, ContainerSpec } from '../container-spec.ts';
import type { UserMount } from '../launcher/mounts/mount-messages.ts';
import { bindRootOf } from './bind-root.ts';
import { defaultInodes } from './inodes.ts';
import type { MountRules } from './mount-check.ts';

/** What the launcher needs of the node's side of the mounts. */
export interface MountSources extends Pick<MountRules, 'bindRoots' | 'stateDir'> {
  /** Volumes that are empty: they get the image's files. */
  unfilled: ReadonlySet<string>;
}

/** The launcher's orders for the mounts of a spec that was checked. */
export function planMounts(spec: ContainerSpec, sources: MountSources): UserMount[] {
  return (spec.mounts ?? []).map((mount) => planMount(mount, sources));
}

function planMount(mount: ContainerMount, sources: MountSources): UserMount {
  const { target } = mount;
  if (mount.kind === 'tmpfs') {
    const { sizeBytes } = mount;
    const title = `tmpfs at "${target}"`;
    return { kind: 'tmpfs', title, target, sizeBytes, inodes: defaultInodes(sizeBytes) };
  }
  const readOnly = mount.readOnly === true;
  if (mount.kind === 'volume') {
    const title = `volume "${mount.volume}" at "${target}"`;
    const fill = sources.unfilled.has(mount.volume);
    const root = volumesFolder(sources.stateDir);
    return { kind: 'host', title, root, path: `${mount.volume}/data`, target, readOnly, fill };
  }
  const title = `bind path "${mount.source}" at "${target}"`;
  const found = bindRootOf(mount.source, sources.bindRoots);
  if (found === undefined) throw new Error(`bind path ${mount.source} was not checked`);
  const { path, root } = found;
  return { kind: 'host', title, root: root.real, path, target, readOnly, fill: false };
}

/** Folder of the volumes in an engine's state folder. */
export function volumesFolder(stateDir: string): string {
  return posix.join(stateDir, 'volumes');
}
