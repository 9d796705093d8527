import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingForContainers } from './testing/busybox-layer.ts';
import { makeEngineWorld } from './testing/engine-world.ts';
import { leakReport, machineDelta } from './testing/leak.ts';

const CYCLES = 500;
const AT_ONCE = 6;

test(`LEAK-1: ${CYCLES} containers leave nothing`, {
  skip: missingForContainers() ?? false,
}, async (t) => {
  const world = await makeEngineWorld({ blanks: 4, networkSlots: 2 });
  try {
    const report = await leakReport(world, { cycles: CYCLES, atOnce: AT_ONCE });
    t.diagnostic(`${report.seconds.toFixed(1)} s: ${report.outcomes}`);
    // Of the whole machine, on which other tests run: told, and judged by the long run
    t.diagnostic(JSON.stringify(machineDelta(report.before, report.after)));
    assert.deepEqual(report.difference, []);
  } finally {
    await world.close();
  }
});
