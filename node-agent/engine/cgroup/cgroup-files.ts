import type { CgroupLayout } from './cgroup-layout.ts';

/** Where one container's counters can be read. */
export interface CgroupFiles {
  memoryCurrent: string;
  memoryPeak: string;
  memoryStat: string;
  memoryEvents: string;
  pidsCurrent: string;
  pidsEvents: string;
  /** v2: cpu.stat. v1: cpuacct.usage, .usage_user, .usage_sys. Empty where nobody counts. */
  cpuUsage: readonly string[];
  cpuThrottle: string;
}

/** The counters of a container whose folder below a hierarchy's root is `at(root)`. */
export function planFiles(layout: CgroupLayout, at: (root: string) => string): CgroupFiles {
  const { v1, v2 } = layout;
  if (layout.version === 'v2') {
    const file = (name: string): string => `${at(v2 ?? '')}/${name}`;
    return {
      memoryCurrent: file('memory.current'),
      memoryPeak: file('memory.peak'),
      memoryStat: file('memory.stat'),
      memoryEvents: file('memory.events'),
      pidsCurrent: file('pids.current'),
      pidsEvents: file('pids.events'),
      cpuUsage: [file('cpu.stat')],
      cpuThrottle: file('cpu.stat'),
    };
  }
  const file = (root: string | undefined, name: string): string => `${at(root ?? '')}/${name}`;
  return {
    memoryCurrent: file(v1.memory, 'memory.usage_in_bytes'),
    memoryPeak: file(v1.memory, 'memory.max_usage_in_bytes'),
    memoryStat: file(v1.memory, 'memory.stat'),
    memoryEvents: file(v1.memory, 'memory.oom_control'),
    pidsCurrent: file(v1.pids, 'pids.current'),
    pidsEvents: file(v1.pids, 'pids.events'),
    cpuUsage: v2 === undefined ? accountFiles(v1.cpuacct, at) : [file(v2, 'cpu.stat')],
    cpuThrottle: file(v1.cpu, 'cpu.stat'),
  };
}

function accountFiles(root: string | undefined, at: (root: string) => string): string[] {
  if (root === undefined) return [];
  return ['usage', 'usage_user', 'usage_sys'].map((name) => `${at(root)}/cpuacct.${name}`);
}
