import type { ContainerInfo } from '../../lib/container-api.ts';
import type { ContainerMount } from '../engine/container-spec.ts';

/** What is mounted, as the API tells it. */
export function mountInfos(mounts: readonly ContainerMount[] = []): ContainerInfo['mounts'] {
  return mounts.map((mount) => {
    const { kind, target } = mount;
    if (mount.kind === 'tmpfs') return { kind, source: '', target, readOnly: false };
    const source = mount.kind === 'volume' ? mount.volume : mount.source;
    return { kind, source, target, readOnly: mount.readOnly === true };
  });
}
