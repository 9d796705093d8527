import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideRestart, type RestartState } from './restart-policy.ts';

test('decideRestart() doubles from 0.2 s to 10 s for a daemon that dies young', () => {
  const delays: number[] = [];
  let state: RestartState = { deaths: 0 };
  for (let n = 0; n < 9; n++) {
    const decision = decideRestart(state, 100);
    delays.push(decision.delayMs);
    state = decision.state;
  }
  assert.deepEqual(delays, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
});

test('decideRestart() begins again after a minute of health', () => {
  assert.deepEqual(decideRestart({ deaths: 8 }, 60_000), { delayMs: 200, state: { deaths: 1 } });
});
