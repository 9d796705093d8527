import { HearthError } from '../../lib/errors.ts';
import type { BuildRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';

/** A build that nobody wrote a record for within this time never will have one. */
const UNWRITTEN_MS = 10_000;

/** Whether a build has ended without success; a built one goes on as a rollout. */
export function isBuildOver(
  build: BuildRecord | undefined,
  startedAtMs: number,
  nowMs: number,
): boolean {
  if (build === undefined) return nowMs - startedAtMs > UNWRITTEN_MS;
  return build.state === 'failed' || build.state === 'cancelled';
}

const TRIES_MAX = 5;

/**
 * Marks a build cancelled and tells its followers; the builder watches its record and stops.
 * A build that has ended stays as it is. Returns the record; undefined: no such build.
 */
export async function cancelBuild(store: Store, buildId: string): Promise<BuildRecord | undefined> {
  for (let tries = 1; ; tries++) {
    const stored = await store.get('build', buildId);
    if (stored === undefined || !isRunning(stored.record)) return stored?.record;
    const error = new HearthError('BuildCancelled', `build ${buildId} was cancelled`).toBody();
    const record: BuildRecord = {
      ...stored.record,
      state: 'cancelled',
      error,
      endedAtMs: Date.now(),
    };
    try {
      await store.put('build', buildId, record, { expectVersion: stored.version });
    } catch (conflict) {
      const isStale = conflict instanceof HearthError && conflict.code === 'Conflict';
      if (!isStale || tries === TRIES_MAX) throw conflict;
      continue;
    }
    await store.appendDeployEvent(buildId, { type: 'failed', error });
    return record;
  }
}

function isRunning(build: BuildRecord): boolean {
  return build.state === 'queued' || build.state === 'building' || build.state === 'pushing';
}
