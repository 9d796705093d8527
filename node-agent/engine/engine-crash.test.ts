import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { FAILPOINT_NAMES, type FailpointName } from './failpoint-names.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { CrashWorld } from './testing/crash-world.ts';

const skip = missingForContainers() ?? false;
/** Each has two containers of its own; more would only wait for each other. */
const WORLDS = 2;

describe('kill -9 at each failpoint', { skip, concurrency: WORLDS }, () => {
  for (let n = 0; n < WORLDS; n++) {
    test(`the two that run go on, the third is whole or gone, world ${n}`, async (t) => {
      const world = await CrashWorld.make();
      const points = FAILPOINT_NAMES.filter((_, at) => at % WORLDS === n);
      const failed: string[] = [];
      try {
        for (const point of points) {
          const fault = await crashAndRecover(t, world, point);
          if (fault !== undefined) failed.push(`${point}: ${fault}`);
        }
      } finally {
        await world.close();
      }
      assert.deepEqual(failed, []);
    });
  }
});

/** Answers what went wrong. */
async function crashAndRecover(
  t: TestContext,
  world: CrashWorld,
  point: FailpointName,
): Promise<string | undefined> {
  try {
    await crash(world, point);
    t.diagnostic(`${point}: adopted after ${Math.round(await world.recover())} ms`);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function crash(world: CrashWorld, point: FailpointName): Promise<void> {
  if (point.startsWith('child.')) return world.loseChildAt(point);
  if (point.startsWith('launcher.')) return world.loseLauncherAt(point);
  if (point.startsWith('adopt.leftover')) await world.dieAt('start.after-limits');
  await world.dieAt(point, point.startsWith('blank.remove') ? { blanks: 1 } : {});
}

test("the table of failpoints is the code's", () => {
  const folder = join(packageRoot, 'node-agent');
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(test|faults)\.ts$/.test(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  const called = sources.flatMap((text) =>
    [...text.matchAll(/failpoint\('([a-z.-]+)'\)/g)].map(([, name]) => name),
  );
  const named = FAILPOINT_NAMES.filter((name) => !name.startsWith('child.'));
  assert.deepEqual([...new Set(called)].sort(), [...named].sort());
  assert.ok(FAILPOINT_NAMES.length >= 40);
});
