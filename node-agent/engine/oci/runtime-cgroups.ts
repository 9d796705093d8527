import { readFileSync } from 'node:fs';
import { detectCgroupLayout } from '../cgroup/cgroup.ts';
import { hierarchies } from '../cgroup/cgroup-layout.ts';

/**
 * Roots of the hierarchies that runtimes join beside the engine's own: every v1 one that is mounted
 * (cpuset, devices, name=systemd …).
 */
export function runtimeCgroups(): string[] {
  const own = new Set(hierarchies(detectCgroupLayout()));
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const roots = mounts.flatMap((line) => {
    const [, folder = '', type = ''] = line.split(' ');
    return type === 'cgroup' && !own.has(folder) ? [folder] : [];
  });
  return [...new Set(roots)];
}
