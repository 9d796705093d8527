import type { ContainerSpec } from '../engine/container-spec.ts';
import type { Volumes } from '../engine/engine-types.ts';

/**
 * Makes the volumes that a container names and that are not there, as Docker does: a function's
 * volume begins with its first instance on a node.
 * @throws HearthError NameInvalid, NodeFull
 */
export function makeVolumes(
  volumes: Volumes,
  spec: Pick<ContainerSpec, 'mounts' | 'labels'>,
): void {
  for (const mount of spec.mounts ?? []) {
    if (mount.kind !== 'volume' || volumes.get(mount.volume) !== undefined) continue;
    volumes.create({ name: mount.volume, labels: spec.labels ?? {} });
  }
}
