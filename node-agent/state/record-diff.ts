import type { InstanceRecord } from '../../lib/records.ts';

/** What must change in the store so that it tells the truth about one node. */
export interface RecordDiff {
  put: InstanceRecord[];
  /** Ids of records whose instance does not exist. */
  remove: string[];
}

/** Compares the instances that a node has with the records that name it. */
export function recordDiff(
  node: string,
  existing: readonly InstanceRecord[],
  stored: readonly InstanceRecord[],
): RecordDiff {
  const own = new Map(
    stored.filter((record) => record.node === node).map((record) => [record.id, record]),
  );
  const ids = new Set(existing.map((record) => record.id));
  return {
    put: existing.filter((record) => own.get(record.id)?.state !== record.state),
    remove: [...own.keys()].filter((id) => !ids.has(id)),
  };
}
