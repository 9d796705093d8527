import type { CgroupLayout } from './cgroup-layout.ts';
import type { ContainerResources } from './container-spec.ts';

/** One write to a file of a cgroup folder; `optional` ones may be missing in a kernel. */
export interface CgroupWrite {
  file: string;
  value: string;
  optional?: boolean;
}

/** A folder of one hierarchy. */
export interface CgroupFolder {
  path: string;
  writes: readonly CgroupWrite[];
}

/** What a container's cgroups are, and where their facts can be read. */
export interface CgroupPlan {
  folders: readonly CgroupFolder[];
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
export function planCgroup(
  layout: CgroupLayout,
  container: { engine: string; id: string; resources: ContainerResources },
): CgroupPlan {
  return layout.version === 'v2' ? planV2(layout, container) : planV1(layout, container);
}

type Named = { engine: string; id: string; resources: ContainerResources };

/** Documentation/admin-guide/cgroup-v1. */
function planV1(layout: CgroupLayout, { engine, id, resources }: Named): CgroupPlan {
  const { memoryBytes, cpuMillis, pids } = resources;
  const limits: Record<string, CgroupWrite[]> = {
    memory: [
      { file: 'memory.limit_in_bytes', value: String(memoryBytes) },
      // Memory and swap together, so that the limit cannot be swapped away
      { file: 'memory.memsw.limit_in_bytes', value: String(memoryBytes), optional: true },
    ],
    cpu: [
      { file: 'cpu.cfs_period_us', value: String(PERIOD_US) },
      { file: 'cpu.cfs_quota_us', value: String(quotaUs(cpuMillis)) },
    ],
    pids: [{ file: 'pids.max', value: String(pids) }],
    freezer: [],
  };
  const folders = Object.entries(layout.v1).map(([controller, root]) => ({
    path: `${engineFolder(root, engine)}/${id}`,
    // No program of the host may run when the last process leaves: CVE-2022-0492
    writes: [...(limits[controller] ?? []), { file: 'notify_on_release', value: '0' }],
  }));
  const memory = `${engineFolder(layout.v1.memory ?? '', engine)}/${id}`;
  const plan: CgroupPlan = {
    folders,
    memory: {
      current: `${memory}/memory.usage_in_bytes`,
      peak: `${memory}/memory.max_usage_in_bytes`,
      events: `${memory}/memory.oom_control`,
    },
  };
  if (layout.v1.freezer !== undefined) {
    plan.freezer = `${engineFolder(layout.v1.freezer, engine)}/${id}`;
  }
  if (layout.v2 === undefined) return plan;
  const tree = `${engineFolder(layout.v2, engine)}/${id}`;
  return {
    ...plan,
    folders: [...folders, { path: tree, writes: [] }],
    killFile: `${tree}/cgroup.kill`,
  };
}

/** Documentation/admin-guide/cgroup-v2.rst. */
function planV2(layout: CgroupLayout, { engine, id, resources }: Named): CgroupPlan {
  const path = `${engineFolder(layout.v2 ?? '', engine)}/${id}`;
  const writes = [
    { file: 'memory.max', value: String(resources.memoryBytes) },
    { file: 'memory.swap.max', value: '0', optional: true },
    { file: 'cpu.max', value: `${quotaUs(resources.cpuMillis)} ${PERIOD_US}` },
    { file: 'pids.max', value: String(resources.pids) },
  ];
  return {
    folders: [{ path, writes }],
    memory: {
      current: `${path}/memory.current`,
      peak: `${path}/memory.peak`,
      events: `${path}/memory.events`,
    },
    killFile: `${path}/cgroup.kill`,
  };
}

/** Folders of the engine itself, outermost first, and what v2 needs written so that limits work below. */
export function planEngineCgroup(layout: CgroupLayout, engine: string): CgroupFolder[] {
  if (layout.version === 'v1') {
    const roots = [...Object.values(layout.v1), ...(layout.v2 === undefined ? [] : [layout.v2])];
    return roots.flatMap((root) => [
      { path: `${root}/hearth`, writes: [] },
      { path: engineFolder(root, engine), writes: [] },
    ]);
  }
  const root = layout.v2 ?? '';
  const writes = [{ file: 'cgroup.subtree_control', value: '+memory +cpu +pids' }];
  return [root, `${root}/hearth`, engineFolder(root, engine)].map((path) => ({ path, writes }));
}

/** Number behind `oom_kill` in memory.oom_control (v1) or memory.events (v2). */
export function parseOomKills(events: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
}
