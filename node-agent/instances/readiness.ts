import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS } from '../../lib/limits.ts';
import type { GuestContract } from '../../lib/spec/spec.ts';
import type { Container } from '../engine/engine-types.ts';
import { type Listener, parseListeners } from './readiness-hint.ts';
import type { StartFault } from './start-error.ts';
import { parseStatusLine } from './status-line.ts';

export interface ReadinessOptions {
  contract: GuestContract;
  port: number;
  timeoutMs: number;
  memoryBytes: number;
}

/** How waiting for a guest ended. */
export type Readiness = { kind: 'ready'; importMs?: number } | StartFault;

const FIRST_PAUSE_MS = 2;
const FIRST_MS = 100;
const PAUSE_MS_MAX = 25;
const CONNECT_MS_MAX = 1_000;

/**
 * Waits until the guest serves, its process ends, or the time is over: a `socket` guest says so on
 * its status pipe, a `port` guest accepts a TCP connection.
 */
export async function awaitReady(
  container: Container,
  options: ReadinessOptions,
): Promise<Readiness> {
  const beganMs = performance.now();
  const over = new AbortController();
  const serving =
    options.contract === 'socket'
      ? statusOf(container)
      : portOpens(container, options.port, over.signal);
  const exited = container.exited.then((exit) => ({ kind: 'exited' as const, exit }));
  const silent = delay(options.timeoutMs, { kind: 'silent' as const }, { signal: over.signal });
  silent.catch(() => {});
  try {
    const first = await Promise.race([serving, exited, silent]);
    if (first.kind === 'exited') {
      const memory = { limitBytes: options.memoryBytes, peakBytes: await peakOf(container) };
      return { ...first, afterMs: performance.now() - beganMs, memory };
    }
    if (first.kind === 'silent') return { ...first, listeners: await listenersOf(container.pid) };
    return first;
  } finally {
    over.abort();
  }
}

/** The guest's word; one that closes its pipe without any gets no other chance, so this stays open. */
async function statusOf(container: Container): Promise<Exclude<Readiness, { kind: 'exited' }>> {
  const line = await container.status;
  if (line === undefined) return await new Promise(() => {});
  const status = parseStatusLine(line);
  if (status === undefined) return { kind: 'bad-status', line };
  if (!status.ready) return { kind: 'guest-error', error: status.error };
  return status.importMs === undefined
    ? { kind: 'ready' }
    : { kind: 'ready', importMs: status.importMs };
}

async function portOpens(
  container: Container,
  port: number,
  signal: AbortSignal,
): Promise<{ kind: 'ready' }> {
  const host = container.address ?? '127.0.0.1';
  const beganMs = performance.now();
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted && !(await accepts(host, port))) {
    if (performance.now() - beganMs > FIRST_MS) pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 1.5);
    await delay(pauseMs);
  }
  return { kind: 'ready' };
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_MS_MAX });
    const answer = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => answer(true));
    socket.once('timeout', () => answer(false));
    socket.on('error', () => answer(false));
  });
}

/** Peak memory, if the cgroup still tells. */
export async function peakOf(container: Container): Promise<number | undefined> {
  try {
    return (await container.memory()).peakBytes;
  } catch {
    return undefined;
  }
}

/** Listening sockets in the container's network namespace, which are all its own. */
async function listenersOf(pid: number): Promise<Listener[]> {
  const pages = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => '')),
  );
  return pages.flatMap(parseListeners).slice(0, LIMITS.errorLogLines);
}
