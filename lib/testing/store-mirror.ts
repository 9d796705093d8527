import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { GatewayRecord, RecordKind } from '../records.ts';
import type { Change, Store, Versioned } from '../store/store.ts';

/** A small record to put. */
export function gateway(name: string, heartbeatAtMs = 0): GatewayRecord {
  return { name, address: 'http://127.0.0.1:1', version: '0', heartbeatAtMs };
}

/** Waits until `holds`, some 10 s at most. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (holds()) return;
    await delay(20);
  }
  assert.fail(`did not come true: ${what}`);
}

/** A mirror as every user of `watch` keeps one. */
export function mirrorOf(store: Store, kinds: readonly RecordKind[] = ['gateway']) {
  const stop = new AbortController();
  const mirror = {
    records: new Map<string, Versioned<unknown>>(),
    seen: [] as Change[],
    resets: 0,
    isReady: false,
    stop: async () => {
      stop.abort();
      await watching;
    },
  };
  const watching = store.watch({
    kinds,
    signal: stop.signal,
    onChange(change) {
      mirror.seen.push(change);
      const { id, record, version } = change;
      if (record === undefined) mirror.records.delete(id);
      else mirror.records.set(id, { record, version });
    },
    onReset() {
      mirror.resets += 1;
      mirror.records.clear();
    },
    onReady() {
      mirror.isReady = true;
    },
  });
  return mirror;
}

/** Puts a gateway record as soon as the store takes it again. */
export async function putUntilBack(store: Store, id: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await store.put('gateway', id, gateway(id));
      return;
    } catch (error) {
      if (tries > 100) throw error;
      await delay(50);
    }
  }
}
