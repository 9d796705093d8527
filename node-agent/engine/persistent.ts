import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_WAIT_MS = 50;
const WAIT_MS_MAX = 2_000;
const GIVE_UP_MS = 60_000;

/**
 * Does it again until it succeeds, for clean-ups that fail while the host lacks something: files it
 * may open, room. `onFault` hears the first fault. False when it gave up after a minute.
 */
export async function untilDone(
  act: () => Promise<void>,
  onFault: (error: unknown) => void,
): Promise<boolean> {
  const endMs = performance.now() + GIVE_UP_MS;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, WAIT_MS_MAX)) {
    try {
      await act();
      return true;
    } catch (error) {
      if (waitMs === FIRST_WAIT_MS) onFault(error);
      if (performance.now() > endMs) return false;
    }
    await sleep(waitMs);
  }
}
