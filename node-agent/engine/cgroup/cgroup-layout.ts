/** Where the cgroup hierarchies of this machine are mounted. */
export interface CgroupLayout {
  /** Which version holds the memory controller. */
  version: 'v1' | 'v2';
  /** v1 hierarchies by controller; empty on a pure v2 machine. */
  v1: Readonly<Record<string, string>>;
  /** The v2 tree. With `version` v1 it has no controllers but still `cgroup.kill`. */
  v2?: string;
}

/** The v1 controllers that containers join, if they are mounted; some share a hierarchy. */
const V1_CONTROLLERS = ['memory', 'cpu', 'cpuacct', 'pids', 'freezer'] as const;

/** Mount points of all hierarchies that containers join, each once. */
export function hierarchies({ v1, v2 }: CgroupLayout): string[] {
  return [...new Set([...Object.values(v1), ...(v2 === undefined ? [] : [v2])])];
}

/**
 * Reads /proc/mounts (fstab(5) fields). `v2Controllers` is the text of the v2 tree's
 * cgroup.controllers. Undefined when no hierarchy holds the memory controller.
 */
export function parseCgroupLayout(mounts: string, v2Controllers: string): CgroupLayout | undefined {
  const v1: Record<string, string> = {};
  let v2: string | undefined;
  for (const line of mounts.split('\n')) {
    const [, folder = '', type = '', options = ''] = line.split(' ');
    if (type === 'cgroup2') v2 ??= folder;
    if (type !== 'cgroup') continue;
    const names = options.split(',');
    for (const controller of V1_CONTROLLERS) {
      if (names.includes(controller)) v1[controller] ??= folder;
    }
  }
  // cpu.stat of a v2 tree counts time without any controller, and each hierarchy joined costs a start
  if (v2 !== undefined) delete v1.cpuacct;
  const onV2 = v2Controllers.trim().split(/\s+/).includes('memory');
  if (!onV2 && v1.memory === undefined) return undefined;
  const version = onV2 ? 'v2' : 'v1';
  return v2 === undefined ? { version, v1 } : { version, v1: onV2 ? {} : v1, v2 };
}
