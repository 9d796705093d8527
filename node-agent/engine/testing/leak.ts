import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeStock } from '../../../lib/testing/ledger.ts';
import { foldersIn, processesOf } from '../../../lib/testing/machine.ts';
import { detectCgroupLayout } from '../cgroup/cgroup.ts';
import { type EngineWorld, engineScope } from './engine-world.ts';
import { liveThrough } from './leak-cycles.ts';

const SETTLE_MS = 60_000;
const LOOK_MS = 200;
const DROP_MS = 5_000;
/** Lives before the first count, more at once than later: what is kept for later is made by then. */
const WARM_UP = 120;
const WARM_UP_CROWD = 3;

/** Counts of the whole machine, which others change too. */
export interface MachineCounts {
  /** Dead ones among them, which no folder shows. */
  memoryCgroups: number;
  openFiles: number;
  keys: number;
}

/** What came of it. */
export interface LeakReport {
  outcomes: string;
  seconds: number;
  /** Of the engine's own things: each must be 0. */
  difference: string[];
  before: MachineCounts;
  after: MachineCounts;
}

/**
 * LEAK-1: start and end many containers in every way there is, and compare what stands on the
 * machine. Names and numbers differ each time, so things are counted by kind.
 */
export async function leakReport(
  world: EngineWorld,
  options: { cycles: number; atOnce: number; dropCaches?: () => void },
): Promise<LeakReport> {
  const { atOnce, dropCaches } = options;
  await liveThrough(world, { cycles: WARM_UP, atOnce: atOnce * WARM_UP_CROWD });
  const [launcher = 0] = processesOf(`--engine=${world.options.name}`);
  const stock = (): Map<string, number> => countByKind(world, launcher);
  const rest = await atRest(stock);
  dropCaches?.();
  const before = countMachine();
  const beganMs = performance.now();
  const outcomes = await liveThrough(world, options);
  const seconds = (performance.now() - beganMs) / 1000;
  const endMs = performance.now() + SETTLE_MS;
  let difference = leftOf(rest, stock());
  while (difference.length > 0 && performance.now() < endMs) {
    await sleep(LOOK_MS);
    difference = leftOf(rest, stock());
  }
  const after =
    dropCaches === undefined ? countMachine() : await settledMachine(before, dropCaches);
  const told = [...outcomes].map(([name, count]) => `${count} ${name}`).join(', ');
  return { outcomes: told, seconds, difference, before, after };
}

/** The pools fill behind everybody's back: the stock of two looks that agree. */
async function atRest(stock: () => Map<string, number>): Promise<Map<string, number>> {
  let last = stock();
  for (let looks = 0; looks < SETTLE_MS / LOOK_MS; looks++) {
    await sleep(LOOK_MS * 5);
    const now = stock();
    if (differenceOf(last, now).length === 0) return now;
    last = now;
  }
  return assert.fail('the engine does not come to rest');
}

function countByKind(world: EngineWorld, launcher: number): Map<string, number> {
  const scope = { ...engineScope(world.options), pids: [process.pid, launcher] };
  const counts = new Map<string, number>();
  for (const line of takeStock(scope)) {
    const [, kind = line, many = '1'] = /^(descriptors.*) × (\d+)$/.exec(line) ?? [];
    const name = kind.replaceAll(/[0-9a-f]{16}|\d+/g, '*');
    counts.set(name, (counts.get(name) ?? 0) + Number(many));
  }
  counts.set('mount of a network namespace', netnsMounts(world.options.name));
  return counts;
}

function netnsMounts(engine: string): number {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.includes(`/netns/hearth-${engine}-`)).length;
}

/** Whether containers of other engines come and go on this machine: its counts are theirs, too. */
export function othersRun(world: EngineWorld): boolean {
  const { v1, v2 } = detectCgroupLayout();
  const root = `${v1.memory ?? v2}/hearth`;
  return foldersIn(root).some((name) => name !== world.options.name);
}

/**
 * What differs. Loopbacks made ahead for a crowd, and put back by starts that had a network of their own, wait
 * for later starts without one (launcher/loopback-networks.ts): fewer of them afterwards were used up.
 */
function leftOf(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
  return differenceOf(before, after).filter((line) => !/^-\d+ descriptors of .*: net$/.test(line));
}

function differenceOf(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): string[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((kind) => ({ kind, delta: (after.get(kind) ?? 0) - (before.get(kind) ?? 0) }))
    .filter(({ delta }) => delta !== 0)
    .map(({ kind, delta }) => `${delta > 0 ? '+' : ''}${delta} ${kind}`);
}

/** The least of several looks: what others have open for a moment is not this engine's. */
async function settledMachine(
  before: MachineCounts,
  dropCaches: () => void,
): Promise<MachineCounts> {
  dropCaches();
  let least = countMachine();
  const endMs = performance.now() + SETTLE_MS;
  const isOver = (): boolean => Object.values(machineDelta(before, least)).every((n) => n <= 0);
  while (!isOver() && performance.now() < endMs) {
    await sleep(DROP_MS);
    dropCaches();
    const now = countMachine();
    least = {
      memoryCgroups: Math.min(least.memoryCgroups, now.memoryCgroups),
      openFiles: Math.min(least.openFiles, now.openFiles),
      keys: Math.min(least.keys, now.keys),
    };
  }
  return least;
}

/** By how much each count rose. */
export function machineDelta(before: MachineCounts, after: MachineCounts): MachineCounts {
  return {
    memoryCgroups: after.memoryCgroups - before.memoryCgroups,
    openFiles: after.openFiles - before.openFiles,
    keys: after.keys - before.keys,
  };
}

function countMachine(): MachineCounts {
  const text = (path: string): string => readFileSync(path, 'utf8');
  const keys = text('/proc/key-users')
    .split('\n')
    .map((line) => Number(/\s(\d+)\/\d+\s/.exec(line)?.[1] ?? 0));
  return {
    memoryCgroups: Number(/^memory\t\d+\t(\d+)/m.exec(text('/proc/cgroups'))?.[1] ?? 0),
    openFiles: Number(text('/proc/sys/fs/file-nr').split('\t')[0]),
    keys: keys.reduce((sum, count) => sum + count, 0),
  };
}
