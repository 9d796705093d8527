import type { ContainerStats } from '../container-stats.ts';
import { INIT_PROCESSES } from './cgroup-limits.ts';

/** Texts of the files of CgroupFiles, as the kernel gave them; '' for one that is missing. */
export interface CgroupTexts {
  memoryCurrent: string;
  memoryPeak: string;
  memoryStat: string;
  memoryEvents: string;
  pidsCurrent: string;
  cpuUsage: readonly string[];
  cpuThrottle: string;
}

/** Counters of a link, seen from the host: what it receives, the container has sent. */
export interface LinkTexts {
  rxBytes: string;
  txBytes: string;
  rxPackets: string;
  txPackets: string;
}

const NS_PER_US = 1000;

/** Lines of `name number`, as memory.stat, cpu.stat and pids.events have them. */
export function parseKeyed(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name = '', value = ''] = line.split(' ');
    if (name !== '' && /^\d+$/.test(value)) found.set(name, Number(value));
  }
  return found;
}

/** Number behind `oom_kill` in memory.oom_control (v1) or memory.events (v2). */
export function parseOomKills(events: string): number {
  return parseKeyed(events).get('oom_kill') ?? 0;
}

/** Forks refused for the limit: `max` of pids.events. */
export function parseForksRefused(events: string): number {
  return parseKeyed(events).get('max') ?? 0;
}

/** A file of one number; 0 for a missing one. */
export function parseNumber(text: string): number {
  const value = text.trim();
  return /^\d+$/.test(value) ? Number(value) : 0;
}

/** The cpu's part of the statistics, from either version's files. */
function cpuOf(texts: CgroupTexts, limitMillis: number): ContainerStats['cpu'] {
  const throttle = parseKeyed(texts.cpuThrottle);
  const throttledUs = throttle.get('throttled_usec');
  return {
    ...usageOf(texts.cpuUsage),
    throttledPeriods: throttle.get('nr_throttled') ?? 0,
    throttledNs:
      throttledUs === undefined ? (throttle.get('throttled_time') ?? 0) : throttledUs * NS_PER_US,
    limitMillis,
  };
}

function usageOf(texts: readonly string[]): { usageNs: number; userNs: number; systemNs: number } {
  const [first = '', user, system] = texts;
  if (user === undefined || system === undefined) {
    const stat = parseKeyed(first);
    const ns = (name: string): number => (stat.get(name) ?? 0) * NS_PER_US;
    return { usageNs: ns('usage_usec'), userNs: ns('user_usec'), systemNs: ns('system_usec') };
  }
  return {
    usageNs: parseNumber(first),
    userNs: parseNumber(user),
    systemNs: parseNumber(system),
  };
}

/** Page cache that goes first. v1's own line leaves out what is charged below. */
function inactiveFileOf(stat: string): number {
  const found = parseKeyed(stat);
  return found.get('total_inactive_file') ?? found.get('inactive_file') ?? 0;
}

/** Page cache charged to a v1 cgroup. */
export function parseCacheBytes(stat: string): number {
  return parseKeyed(stat).get('total_cache') ?? 0;
}

/** What a container uses. `link` only for one with a network. */
export function containerStats(
  texts: CgroupTexts,
  limits: { memoryBytes: number; cpuMillis: number; pids: number },
  at: { timeMs: number; link?: LinkTexts },
): ContainerStats {
  const { link, timeMs } = at;
  return {
    timeMs,
    cpu: cpuOf(texts, limits.cpuMillis),
    memory: {
      currentBytes: parseNumber(texts.memoryCurrent),
      peakBytes: parseNumber(texts.memoryPeak),
      limitBytes: limits.memoryBytes,
      inactiveFileBytes: inactiveFileOf(texts.memoryStat),
      oomKills: parseOomKills(texts.memoryEvents),
    },
    pids: {
      current: Math.max(0, parseNumber(texts.pidsCurrent) - INIT_PROCESSES),
      limit: limits.pids,
    },
    ...(link === undefined
      ? {}
      : {
          network: {
            receivedBytes: parseNumber(link.txBytes),
            sentBytes: parseNumber(link.rxBytes),
            receivedPackets: parseNumber(link.txPackets),
            sentPackets: parseNumber(link.rxPackets),
          },
        }),
  };
}
