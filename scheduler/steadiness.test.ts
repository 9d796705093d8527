import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { watchSteadiness } from './steadiness.ts';

async function gapsWith(ping: () => Promise<void>, disturb?: () => void): Promise<number> {
  const stop = new AbortController();
  let gaps = 0;
  const watching = watchSteadiness({
    store: { ping },
    signal: stop.signal,
    everyMs: 100,
    onGap: () => {
      gaps += 1;
    },
  });
  await delay(350);
  disturb?.();
  await delay(150);
  stop.abort();
  await watching;
  return gaps;
}

describe('watchSteadiness', () => {
  it('tells each time that the store does not answer', async () => {
    assert.ok((await gapsWith(() => Promise.reject(new Error('away')))) >= 2);
  });

  it('tells when this process itself stood still', async () => {
    const standStill = (): void => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
    };
    assert.ok((await gapsWith(async () => undefined, standStill)) >= 1);
  });
});
