import { LIMITS } from '../lib/limits.ts';
import type { BuildRecord, RevisionRecord } from '../lib/records.ts';
import type { Store } from '../lib/store/store.ts';
import type { Mirror } from './mirror.ts';

export interface PruneInput {
  revisions: readonly RevisionRecord[];
  builds: readonly BuildRecord[];
  /** Revisions with traffic or instances. */
  used: ReadonlySet<string>;
}

/** Ids of the revisions and builds of one function that are too old to keep. */
export function pickOld(input: PruneInput): { revisions: string[]; builds: string[] } {
  const { revisions, builds, used } = input;
  return {
    revisions: olderThan(revisions, LIMITS.revisionsKeptMax).filter((id) => !used.has(id)),
    builds: olderThan(builds, LIMITS.buildsKeptMax),
  };
}

function olderThan(records: readonly { id: string; generation: number }[], kept: number): string[] {
  const newestFirst = [...records].sort((a, b) => b.generation - a.generation);
  return newestFirst.slice(kept).map(({ id }) => id);
}

/** Removes what `pickOld` picks: the records of a function that is deployed often stay few. */
export async function pruneFunction(store: Store, mirror: Mirror, name: string): Promise<void> {
  const isOwn = (record: { functionName: string }): boolean => record.functionName === name;
  const traffic = mirror.get('function', name)?.traffic ?? [];
  const instances = [...mirror.all('instance')].filter(isOwn);
  const used = new Set([...traffic, ...instances].map(({ revisionId }) => revisionId));
  const old = pickOld({
    revisions: [...mirror.all('revision')].filter(isOwn),
    builds: [...mirror.all('build')].filter(isOwn),
    used,
  });
  for (const id of old.revisions) {
    await store.remove('rollout', id);
    await store.remove('revision', id);
  }
  for (const id of old.builds) await store.remove('build', id);
}
