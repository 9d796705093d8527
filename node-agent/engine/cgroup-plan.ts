import type { CgroupLayout } from './cgroup-layout.ts';
import type { ContainerResources } from './container-spec.ts';

/** One write to a file of a cgroup; `optional` ones may be missing in a kernel. */
export interface CgroupWrite {
  path: string;
  value: string;
  optional?: boolean;
}

/** Where a container's cgroups are, and where their facts can be read. */
export interface CgroupPlan {
  folders: readonly string[];
  memory: { current: string; peak: string; events: string };
  /** Kills all processes at once when "1" is written; absent without a v2 tree. */
  killFile?: string;
  /** v1 freezer folder, for machines without cgroup.kill. */
  freezer?: string;
}

const PERIOD_US = 100_000;

/** Microseconds of cpu time in each period. 1000 millis are one core. */
function quotaUs(cpuMillis: number): number {
  return Math.max(1000, Math.round((cpuMillis * PERIOD_US) / 1000));
}

/** Folder of an engine below a hierarchy's root. */
export function engineFolder(hierarchy: string, engine: string): string {
  return `${hierarchy}/hearth/${engine}`;
}

/** The cgroups of one container under either version. */
export function planCgroup(layout: CgroupLayout, engine: string, name: string): CgroupPlan {
  const at = (root: string): string => `${engineFolder(root, engine)}/${name}`;
  const tree = layout.v2 === undefined ? undefined : at(layout.v2);
  if (layout.version === 'v2') {
    const path = tree ?? '';
    const files = ['memory.current', 'memory.peak', 'memory.events'];
    return { folders: [path], memory: memoryFiles(path, files), killFile: `${path}/cgroup.kill` };
  }
  const folders = Object.values(layout.v1).map(at);
  const files = ['memory.usage_in_bytes', 'memory.max_usage_in_bytes', 'memory.oom_control'];
  return {
    folders: tree === undefined ? folders : [...folders, tree],
    memory: memoryFiles(at(layout.v1.memory ?? ''), files),
    ...(layout.v1.freezer === undefined ? {} : { freezer: at(layout.v1.freezer) }),
    ...(tree === undefined ? {} : { killFile: `${tree}/cgroup.kill` }),
  };
}

function memoryFiles(path: string, [current, peak, events]: string[]): CgroupPlan['memory'] {
  return {
    current: `${path}/${current}`,
    peak: `${path}/${peak}`,
    events: `${path}/${events}`,
  };
}

/** The writes that limit a container, in order. */
export function planLimits(
  layout: CgroupLayout,
  container: { engine: string; name: string; resources: ContainerResources },
): CgroupWrite[] {
  const { engine, name, resources } = container;
  const at = (root: string | undefined, file: string): string =>
    `${engineFolder(root ?? '', engine)}/${name}/${file}`;
  const memory = String(resources.memoryBytes);
  const quota = quotaUs(resources.cpuMillis);
  const pids = String(resources.pids);
  // Documentation/admin-guide/cgroup-v2.rst
  if (layout.version === 'v2') {
    return [
      { path: at(layout.v2, 'memory.max'), value: memory },
      { path: at(layout.v2, 'memory.swap.max'), value: '0', optional: true },
      { path: at(layout.v2, 'cpu.max'), value: `${quota} ${PERIOD_US}` },
      { path: at(layout.v2, 'pids.max'), value: pids },
    ];
  }
  // Documentation/admin-guide/cgroup-v1
  const { v1 } = layout;
  const notify = Object.values(v1).map((root) => ({
    // No program of the host may run when the last process leaves: CVE-2022-0492
    path: at(root, 'notify_on_release'),
    value: '0',
  }));
  return [
    { path: at(v1.memory, 'memory.limit_in_bytes'), value: memory },
    // Memory and swap together, so that the limit cannot be swapped away
    { path: at(v1.memory, 'memory.memsw.limit_in_bytes'), value: memory, optional: true },
    { path: at(v1.cpu, 'cpu.cfs_period_us'), value: String(PERIOD_US) },
    { path: at(v1.cpu, 'cpu.cfs_quota_us'), value: String(quota) },
    { path: at(v1.pids, 'pids.max'), value: pids },
    ...notify,
  ];
}

/** A folder of the engine itself, and what v2 needs written so that limits work below it. */
export interface EngineFolder {
  path: string;
  writes: readonly CgroupWrite[];
}

/** Folders of the engine itself, outermost first. */
export function planEngineCgroup(layout: CgroupLayout, engine: string): EngineFolder[] {
  if (layout.version === 'v1') {
    const roots = [...Object.values(layout.v1), ...(layout.v2 === undefined ? [] : [layout.v2])];
    return roots.flatMap((root) => [
      { path: `${root}/hearth`, writes: [] },
      { path: engineFolder(root, engine), writes: [] },
    ]);
  }
  const root = layout.v2 ?? '';
  return [root, `${root}/hearth`, engineFolder(root, engine)].map((path) => ({
    path,
    writes: [{ path: `${path}/cgroup.subtree_control`, value: '+memory +cpu +pids' }],
  }));
}

/** Number behind `oom_kill` in memory.oom_control (v1) or memory.events (v2). */
export function parseOomKills(events: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
}
