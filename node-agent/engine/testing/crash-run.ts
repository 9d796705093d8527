import type { TestContext } from 'node:test';
import type { FailpointName } from '../failpoint-names.ts';
import { CrashWorld } from './crash-world.ts';

/** Crashes at each of `points` in one world; answers what went wrong, by point. */
export async function crashAtEach(
  t: TestContext,
  points: readonly FailpointName[],
): Promise<string[]> {
  const world = await CrashWorld.make();
  const failed: string[] = [];
  const times: number[] = [];
  try {
    for (const point of points) {
      try {
        await crash(world, point);
        // What only a process of a container met is over when its engine has closed
        if (point.startsWith('child.')) await world.assertBalanced();
        else times.push(await world.recover());
      } catch (error) {
        failed.push(`${point}: ${error instanceof Error ? error.message : error}`);
      }
    }
    t.diagnostic(`adopted after ${summary(times)} ms, counted from the begin of the process`);
  } finally {
    await world.close();
  }
  return failed;
}

async function crash(world: CrashWorld, point: FailpointName): Promise<void> {
  if (point.startsWith('child.')) return world.loseChildAt(point);
  if (point.startsWith('launcher.')) return world.loseLauncherAt(point);
  if (point.startsWith('adopt.leftover')) await world.dieAt('start.after-limits');
  // A second crash in the middle of taking over
  else if (point.startsWith('adopt.')) await world.dieAt(point);
  await world.dieAt(point, point.startsWith('blank.remove') ? { blanks: 1 } : {});
}

/** `311 (median) to 742`. */
function summary(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b).map(Math.round);
  return `${sorted[Math.floor(sorted.length / 2)]} (median) to ${sorted.at(-1)}`;
}
