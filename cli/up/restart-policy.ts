const FIRST_MS = 200;
const LAST_MS = 10_000;
/** A daemon that ran this long is healthy: its next death starts at the first delay again. */
const HEALTHY_MS = 60_000;

/** How often in a row a daemon has died young. */
export interface RestartState {
  deaths: number;
}

export interface RestartDecision {
  delayMs: number;
  state: RestartState;
}

/** When to start a daemon again that died after `ranMs`: 0.2 s, doubled up to 10 s. */
export function decideRestart(state: RestartState, ranMs: number): RestartDecision {
  const deaths = ranMs >= HEALTHY_MS ? 1 : state.deaths + 1;
  return { delayMs: Math.min(FIRST_MS * 2 ** (deaths - 1), LAST_MS), state: { deaths } };
}
