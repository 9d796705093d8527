import { setTimeout as delay } from 'node:timers/promises';
import { errnoCode } from '../../lib/errors.ts';
import type { Container } from '../engine/engine-types.ts';

const SETTLE_MS_MAX = 2_000;

/**
 * Waits for the ends of those containers that ended while no agent was there: their engine knows
 * how, but nobody shall take them for ones that run until it has said so.
 */
export async function endsSettled(
  containers: readonly Pick<Container, 'pid' | 'exited'>[],
): Promise<void> {
  const ends = containers.filter(({ pid }) => !isThere(pid)).map(({ exited }) => exited);
  if (ends.length === 0) return;
  const over = new AbortController();
  const time = delay(SETTLE_MS_MAX, undefined, { signal: over.signal }).catch(() => {});
  await Promise.race([Promise.all(ends), time]);
  over.abort();
}

/** kill(2) with signal 0 only asks. */
function isThere(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return errnoCode(error) !== 'ESRCH';
  }
}
