import { readFileSync } from 'node:fs';
import { detectCgroupLayout } from '../cgroup/cgroup.ts';
import { parseKeyed } from '../cgroup/cgroup-counters.ts';
import { readIfThere } from '../cgroup/cgroup-file.ts';

const TICK_US = 10_000;

/** Processor time so far, in microseconds. */
export interface CpuReading {
  /** All there was, of all processors. */
  totalUs: number;
  busyUs: number;
  /** Of the engine's containers, and of this process. */
  oursUs: number;
}

/** Reads /proc/stat (proc_stat(5)), and what of it is the engine's and this process's. */
export function readCpu(engine: string): CpuReading {
  const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/) ?? [];
  const ticks = fields.slice(0, 8).map(Number);
  const totalUs = ticks.reduce((sum, count) => sum + count, 0) * TICK_US;
  const idleUs = ((ticks[3] ?? 0) + (ticks[4] ?? 0)) * TICK_US;
  const { v2 } = detectCgroupLayout();
  const stat = readIfThere(`${v2}/hearth/${engine}/cpu.stat`) ?? '';
  const { system, user } = process.cpuUsage();
  const oursUs = (parseKeyed(stat).get('usage_usec') ?? 0) + system + user;
  return { totalUs, busyUs: totalUs - idleUs, oursUs };
}

/** Part of the machine's time between two readings that others had. */
export function othersShare(from: CpuReading, to: CpuReading): number {
  const othersUs = to.busyUs - from.busyUs - (to.oursUs - from.oursUs);
  return Math.max(0, othersUs) / Math.max(1, to.totalUs - from.totalUs);
}
