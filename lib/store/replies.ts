import type { RecordKind, RecordKinds } from '../records.ts';
import type { Change, Versioned } from './store.ts';

/** Replies of Redis (RESP 2: nested arrays of strings) to plain values. No IO. */

/** One entry of a stream: its id and its fields by name. */
export interface StreamEntry {
  id: string;
  fields: Readonly<Record<string, string>>;
}

/** XRANGE, XREVRANGE: `[[id, [name, value, …]], …]`; an absent reply is an empty stream. */
export function streamEntries(reply: unknown): StreamEntry[] {
  if (!Array.isArray(reply)) return [];
  return (reply as [string, string[]][]).map(([id, words]) => ({ id, fields: pairs(words) }));
}

/** XREAD of one stream: `[[key, entries]]`, absent when nothing came in time. */
export function readEntries(reply: unknown): StreamEntry[] {
  if (!Array.isArray(reply)) return [];
  return streamEntries((reply as [string, unknown][])[0]?.[1]);
}

/** A stored field. @throws SyntaxError when it is no JSON */
export function parseVersioned<K extends RecordKind>(text: string): Versioned<RecordKinds[K]> {
  const { version, record } = JSON.parse(text) as Versioned<RecordKinds[K]>;
  return { version, record };
}

/** HGETALL of a kind, which the driver gives as an object, as changes. */
export function hashChanges(kind: RecordKind, reply: unknown): Change[] {
  const changes: Change[] = [];
  for (const [id, text] of Object.entries(reply as Record<string, string>)) {
    const { version, record } = parseVersioned(text);
    changes.push({ kind, id, version, record } as Change);
  }
  return changes;
}

/** An entry of the stream of changes. */
export function entryChange(entry: StreamEntry): Change {
  const { k: kind, i: id, v: version, r: record } = entry.fields;
  const known = { kind, id, version: Number(version) };
  return (record === undefined ? known : { ...known, record: JSON.parse(record) }) as Change;
}

/** `[name, value, name, value, …]`; names may be any text, `__proto__` too. */
function pairs(words: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (let at = 0; at + 1 < words.length; at += 2) fields[words[at] ?? ''] = words[at + 1] ?? '';
  return fields;
}
