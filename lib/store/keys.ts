import type { RecordKind } from '../records.ts';

/** The keys of the store in Redis. */
export interface StoreKeys {
  /** Hash of all records of a kind by id. */
  kind(kind: RecordKind): string;
  /** Stream of all changes. */
  changes: string;
  /** Counter that gives every change its version. */
  version: string;
  /** Stream of one deploy's events. */
  deploy(buildId: string): string;
}

export function storeKeys(prefix: string): StoreKeys {
  return {
    kind: (kind) => `${prefix}:${kind}`,
    changes: `${prefix}:changes`,
    version: `${prefix}:version`,
    deploy: (buildId) => `${prefix}:deploy:${buildId}`,
  };
}
