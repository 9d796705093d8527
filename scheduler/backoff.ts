import type { Failures } from './world.ts';

const FIRST_MS = 1_000;
const LONGEST_MS = 60_000;

/** An instance that ends of itself before this age has failed to start. */
export const YOUNG_MS = 10_000;

/** After one more failure: the pause doubles from 1 s to 60 s. */
export function afterFailure(failures: Failures | undefined, nowMs: number): Failures {
  const count = (failures?.count ?? 0) + 1;
  const pauseMs = Math.min(FIRST_MS * 2 ** Math.min(count - 1, 10), LONGEST_MS);
  return { count, untilMs: nowMs + pauseMs };
}
