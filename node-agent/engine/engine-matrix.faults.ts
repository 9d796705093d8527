import { describe, test } from 'node:test';
import { missingForContainers } from './testing/busybox-layer.ts';
import { missingForCompile } from './testing/compile.ts';
import { assertNoLeaks } from './testing/first-instruction.ts';
import { NetWorld } from './testing/net-world.ts';

const skip = missingForContainers() ?? missingForCompile() ?? false;
const STARTS = 500;

describe('NET, many times', { skip }, () => {
  test(`0 leaks over ${STARTS} starts that connect in their first instruction`, async (t) => {
    const world = await NetWorld.make();
    t.after(() => world.close());
    await assertNoLeaks(world, STARTS);
  });
});
