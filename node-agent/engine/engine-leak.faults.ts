import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { missingForContainers } from './testing/busybox-layer.ts';
import { makeEngineWorld } from './testing/engine-world.ts';
import { leakReport, machineDelta, othersRun } from './testing/leak.ts';

const CYCLES = 10_000;
const AT_ONCE = 6;
const MINUTES_MAX = 15;
const OPEN_FILES_MAX = 64;
const DEAD_CGROUPS_MAX = 5;

test(`LEAK-1: ${CYCLES} containers leave nothing, in the kernel neither`, {
  skip: missingForContainers() ?? false,
}, async (t) => {
  const world = await makeEngineWorld({ blanks: 4, networkSlots: 4 });
  try {
    // Page cache alone keeps a dead cgroup in the kernel
    const dropCaches = (): void => writeFileSync('/proc/sys/vm/drop_caches', '3');
    const report = await leakReport(world, { cycles: CYCLES, atOnce: AT_ONCE, dropCaches });
    t.diagnostic(`${report.seconds.toFixed(1)} s: ${report.outcomes}`);
    const delta = machineDelta(report.before, report.after);
    t.diagnostic(JSON.stringify(delta));
    assert.deepEqual(report.difference, []);
    await t.test('the whole machine has as much as before', (machine) => {
      if (othersRun(world)) return machine.skip('containers of others run on this machine');
      assert.ok(delta.keys <= 0, `keys: ${delta.keys}`);
      assert.ok(delta.openFiles <= OPEN_FILES_MAX, `open files: ${delta.openFiles}`);
      assert.ok(delta.memoryCgroups <= DEAD_CGROUPS_MAX, `cgroups: ${delta.memoryCgroups}`);
      assert.ok(report.seconds <= MINUTES_MAX * 60, `${report.seconds} s`);
    });
  } finally {
    await world.close();
  }
});
