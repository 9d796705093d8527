import type { ContainerResources } from '../container-spec.ts';
import type { CgroupLayout } from './cgroup-layout.ts';

/** One write to a file of a cgroup; `optional` ones may be missing in a kernel. */
export interface CgroupWrite {
  path: string;
  value: string;
  optional?: boolean;
}

const PERIOD_US = 100_000;
/** Least quota that the kernel takes: sched(7), 1 ms. */
const QUOTA_US_MIN = 1000;
/** v1: a quarter of the memory may be buffers of TCP. */
const TCP_SHARE = 4;
/** Its init, which is there beside what the container runs. */
export const INIT_PROCESSES = 1;
const WEIGHT_DEFAULT = 100;
const SHARES_DEFAULT = 1024;

/** Microseconds of cpu time in each period. 1000 millis are one core. */
function quotaUs(cpuMillis: number): number {
  return Math.max(QUOTA_US_MIN, Math.round((cpuMillis * PERIOD_US) / 1000));
}

/**
 * cpu.shares of v1 for a weight of v2: the kernel's own conversion (sched_weight_from_cgroup), under
 * which both defaults mean the same and twice the weight is twice the time.
 */
export function sharesOf(cpuWeight: number): number {
  return Math.max(2, Math.round((cpuWeight * SHARES_DEFAULT) / WEIGHT_DEFAULT));
}

/** The writes that limit a container whose folder below a hierarchy's root is `at(root)`, in order. */
export function planLimits(
  layout: CgroupLayout,
  at: (root: string) => string,
  resources: ContainerResources,
): CgroupWrite[] {
  return layout.version === 'v2'
    ? planV2(at(layout.v2 ?? ''), resources)
    : planV1(layout, at, resources);
}

/**
 * Those of `writes` that change what was `written` before, in an order that the kernel takes: with v1
 * the memory alone is at no moment more than memory and swap together.
 */
export function changedWrites(
  writes: readonly CgroupWrite[],
  written: ReadonlyMap<string, string>,
): CgroupWrite[] {
  const changed = writes.filter(({ path, value }) => written.get(path) !== value);
  const grown = changed.find(({ path, value }) => {
    return path.endsWith('/memory.limit_in_bytes') && Number(written.get(path)) < Number(value);
  });
  if (grown === undefined) return changed;
  return [...changed.filter((write) => write !== grown), grown];
}

/** Documentation/admin-guide/cgroup-v2.rst */
function planV2(folder: string, resources: ContainerResources): CgroupWrite[] {
  const { cpuMillis, cpuWeight, memoryBytes, pids, swapBytes } = resources;
  const write = (file: string, value: string | number, optional = false): CgroupWrite => ({
    path: `${folder}/${file}`,
    value: String(value),
    ...(optional ? { optional } : {}),
  });
  return [
    write('memory.max', memoryBytes),
    write('memory.swap.max', swapBytes ?? 0, true),
    // All of it or nothing: a program that lost one of its processes mostly hangs
    write('memory.oom.group', 1, true),
    write('cpu.max', `${quotaUs(cpuMillis)} ${PERIOD_US}`),
    ...(cpuWeight === undefined ? [] : [write('cpu.weight', cpuWeight, true)]),
    write('pids.max', pids + INIT_PROCESSES),
  ];
}

/** Documentation/admin-guide/cgroup-v1 */
function planV1(
  { v1 }: CgroupLayout,
  at: (root: string) => string,
  resources: ContainerResources,
): CgroupWrite[] {
  const { cpuMillis, cpuWeight, memoryBytes, pids, swapBytes = 0 } = resources;
  const write = (
    controller: string,
    file: string,
    { value, optional = false }: { value: number; optional?: boolean },
  ): CgroupWrite => ({
    path: `${at(v1[controller] ?? '')}/${file}`,
    value: String(value),
    ...(optional ? { optional } : {}),
  });
  const memsw = { value: memoryBytes + swapBytes, optional: true };
  return [
    write('memory', 'memory.limit_in_bytes', { value: memoryBytes }),
    // Memory and swap together, so that the limit cannot be swapped away
    write('memory', 'memory.memsw.limit_in_bytes', memsw),
    // Buffers of TCP count beside the memory, and not at all without a limit of their own
    write('memory', 'memory.kmem.tcp.limit_in_bytes', {
      value: Math.ceil(memoryBytes / TCP_SHARE),
      optional: true,
    }),
    write('cpu', 'cpu.cfs_period_us', { value: PERIOD_US }),
    write('cpu', 'cpu.cfs_quota_us', { value: quotaUs(cpuMillis) }),
    ...(cpuWeight === undefined
      ? []
      : [write('cpu', 'cpu.shares', { value: sharesOf(cpuWeight), optional: true })]),
    write('pids', 'pids.max', { value: pids + INIT_PROCESSES }),
  ];
}
