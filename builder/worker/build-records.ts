import { HearthError } from '../../lib/errors.ts';
import type { BuildRecord, RevisionRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import { whileStoreIsAway } from './event-log.ts';

const TRIES_MAX = 5;

/** Whether a build has ended, one way or the other. */
export function hasEnded({ state }: BuildRecord): boolean {
  return state === 'built' || state === 'failed' || state === 'cancelled';
}

/**
 * Changes the record of a build. The gateway may write `cancelled` at any moment; that is never
 * overwritten.
 * @throws HearthError BuildCancelled, BuildNotFound, StoreUnavailable
 */
export async function updateBuild(
  store: Store,
  id: string,
  change: Partial<BuildRecord>,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    const found = await whileStoreIsAway(() => store.get('build', id));
    if (found === undefined) throw new HearthError('BuildNotFound', `build ${id} does not exist`);
    if (found.record.state === 'cancelled') throw cancelled();
    try {
      const options = { expectVersion: found.version };
      await whileStoreIsAway(() => store.put('build', id, { ...found.record, ...change }, options));
      return;
    } catch (error) {
      const isStale = error instanceof HearthError && error.code === 'Conflict';
      if (!isStale || tries === TRIES_MAX) throw error;
    }
  }
}

/** Puts a revision; one that an earlier try of the same build has put stays as it is. */
export async function putRevision(store: Store, revision: RevisionRecord): Promise<void> {
  try {
    const options = { expectVersion: 0 };
    await whileStoreIsAway(() => store.put('revision', revision.id, revision, options));
  } catch (error) {
    if (!(error instanceof HearthError) || error.code !== 'Conflict') throw error;
    const known = await whileStoreIsAway(() => store.get('revision', revision.id));
    if (known?.record.buildId === revision.buildId) return;
    throw new HearthError('Conflict', `revision ${revision.id} is of another build`);
  }
}

/** `hello`, 3 → `hello-00003`. */
export function revisionId(functionName: string, generation: number): string {
  return `${functionName}-${String(generation).padStart(5, '0')}`;
}

export function cancelled(): HearthError {
  return new HearthError('BuildCancelled', 'build was cancelled');
}
