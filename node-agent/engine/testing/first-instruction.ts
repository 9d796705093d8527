import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { firstTarget } from './net-probe.ts';
import { METADATA, type NetWorld, PRIVATE } from './net-world.ts';

/** Longer than a probe tries. */
const TRY_MS = 600;
/** Starts for each one that is allowed what it asks. */
const DENIED_PER_ALLOWED = 10;

/**
 * Starts containers whose first instruction sends and connects: to where nobody may, of which nothing
 * may arrive, and to where they may, of which everything must.
 */
export async function assertNoLeaks(world: NetWorld, starts: number): Promise<void> {
  const [denied = ''] = METADATA;
  const [listed = ''] = PRIVATE;
  const removals: Promise<void>[] = [];
  await world.seen();
  const leaks: string[] = [];
  for (let n = 0; n < starts; n++) {
    const { id } = await world.engine.start(world.spec(['/bin/first', firstTarget(denied, 80)]));
    leaks.push(...(await world.seen()));
    removals.push(world.engine.exited(id).then(() => world.engine.remove(id)));
  }
  await Promise.all(removals);
  await sleep(TRY_MS);
  assert.deepEqual([...leaks, ...(await world.seen())], []);
  const allowed = Math.ceil(starts / DENIED_PER_ALLOWED);
  for (let n = 0; n < allowed; n++) {
    const argv = ['/bin/first', firstTarget(listed, 443)];
    const ran = await world.run(argv, { egress: [{ cidr: `${listed}/32`, port: 443 }] });
    assert.equal(ran.code, 0);
  }
  const arrived = await world.seen();
  assert.equal(arrived.filter((line) => line.startsWith('udp')).length, allowed);
}
