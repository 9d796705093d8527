import type { RevisionRecord } from '../lib/records.ts';
import type { World } from './world.ts';

/** Why a revision may have instances. */
export type Want =
  /** It takes traffic. */
  | 'serving'
  /** It is its function's newest and has not failed: traffic may come any moment. */
  | 'newest';

/** The revisions that may have instances, by id. */
export function wantedRevisions(world: World): Map<string, Want> {
  const failed = new Set(
    world.rollouts.filter(({ state }) => state === 'failed').map(({ revisionId }) => revisionId),
  );
  const newest = newestByFunction(world.revisions);
  const wanted = new Map<string, Want>();
  for (const { name, traffic } of world.functions) {
    const id = newest.get(name)?.id;
    if (id !== undefined && !failed.has(id)) wanted.set(id, 'newest');
    for (const share of traffic) {
      if (share.percent > 0) wanted.set(share.revisionId, 'serving');
    }
  }
  return wanted;
}

function newestByFunction(revisions: readonly RevisionRecord[]): Map<string, RevisionRecord> {
  const newest = new Map<string, RevisionRecord>();
  for (const revision of revisions) {
    const known = newest.get(revision.functionName);
    if (known === undefined || revision.generation > known.generation) {
      newest.set(revision.functionName, revision);
    }
  }
  return newest;
}
