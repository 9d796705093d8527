import type { CgroupView } from '../launcher/messages.ts';
import type { CgroupLayout } from './cgroup-layout.ts';
import { engineFolder } from './cgroup-plan.ts';

/**
 * What a container sees of its cgroups below /sys/fs/cgroup, where runtimes look for limits. v2: its
 * own cgroup there. v1: one folder a controller, and the v2 tree as `unified`, which is where
 * systemd puts them.
 */
export function planCgroupViews(layout: CgroupLayout, engine: string, name: string): CgroupView[] {
  const at = (root: string): string => `${engineFolder(root, engine)}/${name}`;
  if (layout.version === 'v2') return [{ name: '', path: at(layout.v2 ?? '') }];
  const views = Object.entries(layout.v1).map(([controller, root]) => ({
    name: controller,
    path: at(root),
  }));
  return layout.v2 === undefined ? views : [...views, { name: 'unified', path: at(layout.v2) }];
}
