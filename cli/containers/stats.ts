import type { ContainerInfo, ContainerStats } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import { formatBytes } from '../../lib/units.ts';
import { connect } from '../connection.ts';
import type { ApiClient } from '../http.ts';
import { abortOnInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { containerPath, findContainer } from './find-container.ts';

export interface StatsFlags {
  stream?: boolean;
  node?: string;
}

/** The newest two readings of one container. */
interface Reading {
  container: ContainerInfo;
  before: ContainerStats | undefined;
  now: ContainerStats;
}

const NANOSECONDS = 1e6;
/** Readings come once a second; a table for every one of them would flicker. */
const REDRAW_MS = 1000;

/** `hearth stats [NAME…]`: what containers use, each second until Ctrl-C; `--no-stream` once. */
export async function stats(
  context: Context,
  names: readonly string[],
  flags: StatsFlags,
): Promise<number> {
  const api = connect(context);
  const containers = await meant(api, names, flags.node);
  if (containers.length === 0) {
    context.terminal.err('no containers run\n');
    return 0;
  }
  const { signal, forget } = abortOnInterrupt();
  try {
    if (flags.stream === false) await once(context, api, containers);
    else await follow(context, { api, containers, signal });
    return 0;
  } catch (error) {
    if (signal.aborted) return 0;
    throw error;
  } finally {
    forget();
  }
}

async function meant(
  api: ApiClient,
  names: readonly string[],
  node: string | undefined,
): Promise<ContainerInfo[]> {
  if (names.length > 0) return Promise.all(names.map((name) => findContainer(api, name, node)));
  const { containers } = await api.json<{ containers: ContainerInfo[] }>('/v1/containers');
  return containers.filter(({ state }) => state !== 'exited');
}

/** Two readings, as a share of the cpu is one over time. */
async function once(
  context: Context,
  api: ApiClient,
  containers: readonly ContainerInfo[],
): Promise<void> {
  const readings = await Promise.all(
    containers.map(async (container): Promise<Reading> => {
      const found: ContainerStats[] = [];
      for await (const now of linesOf(api, container)) {
        found.push(now);
        if (found.length === 2) break;
      }
      const [before, now = before] = found;
      if (now !== undefined) return { container, before, now };
      throw new HearthError('NotFound', `container "${container.id}" has ended`);
    }),
  );
  show(context, readings);
}

interface Following {
  api: ApiClient;
  containers: readonly ContainerInfo[];
  signal: AbortSignal;
}

async function follow(context: Context, following: Following): Promise<void> {
  const readings = new Map<string, Reading>();
  let drawnLines = 0;
  const draw = (): void => {
    if (readings.size === 0) return;
    if (context.terminal.paintsOut && drawnLines > 0) {
      context.terminal.out(`\u001b[${drawnLines}A\u001b[J`);
    }
    drawnLines = show(context, [...readings.values()]);
  };
  const timer = setInterval(draw, REDRAW_MS);
  try {
    await Promise.all(
      following.containers.map(async (container) => {
        for await (const now of linesOf(following.api, container, following.signal)) {
          readings.set(container.id, { container, before: readings.get(container.id)?.now, now });
        }
        readings.delete(container.id);
      }),
    );
  } finally {
    clearInterval(timer);
  }
}

function linesOf(api: ApiClient, container: ContainerInfo, signal?: AbortSignal) {
  return api.lines<ContainerStats>(containerPath(container.id, 'stats'), {
    query: { stream: 1, node: container.node },
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Number of lines it took. */
function show(context: Context, readings: readonly Reading[]): number {
  const text = context.json
    ? readings.map(({ container, now }) => `${JSON.stringify({ id: container.id, ...now })}\n`)
    : [clipped(statsTable(readings), context.terminal)];
  context.terminal.out(text.join(''));
  return text.join('').split('\n').length - 1;
}

/** On a terminal no line is wider than it: one that wraps would be two, and drawing over it would leave its rest. */
function clipped(text: string, { paintsOut, outColumns }: Terminal): string {
  if (!paintsOut) return text;
  const lines = text.split('\n').map((line) => line.slice(0, outColumns));
  return lines.join('\n');
}

/** One line a container, as docker stats has it. */
export function statsTable(readings: readonly Reading[]): string {
  const rows = readings.map(({ container, before, now }) => [
    container.name,
    cpuText(before, now),
    `${formatBytes(usedBytes(now))} / ${formatBytes(now.memory.limitBytes)}`,
    `${((100 * usedBytes(now)) / now.memory.limitBytes).toFixed(1)}%`,
    networkText(now),
    `${now.pids.current} / ${now.pids.limit}`,
  ]);
  return table(['NAME', 'CPU', 'MEMORY', 'MEM %', 'NET IN / OUT', 'PIDS'], rows);
}

/** Page cache that can go at once is not counted, as in docker stats. */
function usedBytes({ memory }: ContainerStats): number {
  return Math.max(0, memory.currentBytes - memory.inactiveFileBytes);
}

/** Of one core; `-` until there are two readings. */
function cpuText(before: ContainerStats | undefined, now: ContainerStats): string {
  const elapsedNs = before === undefined ? 0 : (now.timeMs - before.timeMs) * NANOSECONDS;
  if (before === undefined || elapsedNs <= 0) return '-';
  return `${((100 * (now.cpu.usageNs - before.cpu.usageNs)) / elapsedNs).toFixed(1)}%`;
}

function networkText({ network }: ContainerStats): string {
  if (network === undefined) return '-';
  return `${formatBytes(network.receivedBytes)} / ${formatBytes(network.sentBytes)}`;
}
