import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import type { InstanceRecord } from '../../lib/records.ts';
import type { Store } from '../../lib/store/store.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { claim } from './claim.ts';
import { agentFolders, engineName, makeAgentFolders } from './folders.ts';
import { InstanceFiles } from './instance-files.ts';
import { recordDiff } from './record-diff.ts';
import { RecordWriter } from './record-writer.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hearth-state-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function record(id: string, changes: Partial<InstanceRecord> = {}): InstanceRecord {
  return {
    id,
    node: 'n1',
    functionName: 'hello',
    revisionId: 'hello-00001',
    state: 'ready',
    endpoint: { kind: 'unix', path: '/x' },
    concurrency: 1,
    reason: 'cold',
    phases: { totalMs: 1 },
    startedAtMs: 1,
    readyAtMs: 2,
    ...changes,
  };
}

test('a claim is exclusive while its process lives, and free after it', () => {
  const path = join(root, 'agent.pid');
  const release = claim(path);
  assert.throws(() => claim(path), { code: 'Conflict' });
  release();
  claim(path)();
});

test('a claim of a process that is gone, or of a pid used again, counts for nothing', () => {
  const path = join(root, 'agent.pid');
  for (const text of ['999999999 12', `${process.pid} 1`, '', 'nonsense', '-1 0']) {
    writeFileSync(path, text);
    claim(path)();
  }
});

test('folders: private, the sockets open to the group of the data root', () => {
  const folders = agentFolders(root, 'n1');
  makeAgentFolders(root, folders);
  makeAgentFolders(root, folders);
  const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
  assert.equal(mode(folders.sockets), '2750');
  assert.equal(mode(folders.instances), '700');
  assert.equal(mode(folders.logs), '700');
  assert.throws(() => agentFolders(`/${'x'.repeat(90)}`, 'n1'), { code: 'ConfigInvalid' });
});

test('engines of two agents have two names, of one agent always the same', () => {
  const names = [engineName('/a', 'n1'), engineName('/a', 'n2'), engineName('/b', 'n1')];
  assert.equal(new Set(names).size, 3);
  for (const name of names) assert.match(name, /^[a-z0-9]{1,8}$/);
  assert.equal(engineName('/a', 'n1'), names[0]);
});

test('instance files: put, get, replaced, removed, strangers swept', async () => {
  const files = new InstanceFiles(root);
  const limits = { contract: 'port' as const, port: 1, memoryBytes: 1, graceMs: 2, timeoutMs: 3 };
  files.create({ record: record('i-1'), limits });
  await files.put({ record: record('i-1', { state: 'draining' }), limits });
  await files.put({ record: record('i-2'), limits });
  writeFileSync(join(root, 'i-3.json'), '{"record":{"id":"other"}}');
  writeFileSync(join(root, 'i-4.json.tmp'), '{');
  assert.equal((await files.get('i-1'))?.record.state, 'draining');
  assert.equal(await files.get('i-3'), undefined);
  assert.equal(await files.get('i-9'), undefined);
  await files.keepOnly(new Set(['i-1']));
  assert.deepEqual(readdirSync(root), ['i-1.json']);
  await files.remove('i-1');
  await files.remove('i-1');
  assert.deepEqual(readdirSync(root), []);
});

test('the store is made to tell the truth about one node, and no other', () => {
  const diff = recordDiff(
    'n1',
    [record('i-1'), record('i-2', { state: 'draining' }), record('i-3')],
    [record('i-1'), record('i-2'), record('i-4'), record('i-5', { node: 'n2' })],
  );
  assert.deepEqual(
    diff.put.map(({ id }) => id),
    ['i-2', 'i-3'],
  );
  assert.deepEqual(diff.remove, ['i-4']);
});

/** A store that can be away; knows instances only. */
class FlakyStore {
  away = false;
  calls: string[] = [];

  async put(_kind: string, id: string, { state }: InstanceRecord): Promise<number> {
    return this.#call(`put ${id} ${state}`, 1);
  }

  async remove(_kind: string, id: string): Promise<boolean> {
    return this.#call(`remove ${id}`, true);
  }

  #call<T>(call: string, answer: T): T {
    if (this.away) throw new HearthError('StoreUnavailable', 'store is away');
    this.calls.push(call);
    return answer;
  }
}

test('records wait for the store; of each instance only the newest wish is written', async () => {
  const store = new FlakyStore();
  const writer = new RecordWriter(store as unknown as Store, silentLog());
  store.away = true;
  void writer.put(record('i-1'));
  void writer.put(record('i-2'));
  void writer.put(record('i-1', { state: 'draining' }));
  const removed = writer.remove('i-2');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(writer.waiting, 2);
  store.away = false;
  await removed;
  await writer.close(1_000);
  assert.deepEqual(store.calls, ['put i-1 draining', 'remove i-2']);
  assert.equal(writer.waiting, 0);
});

test('a writer closes in time though the store stays away', async () => {
  const store = new FlakyStore();
  store.away = true;
  const writer = new RecordWriter(store as unknown as Store, silentLog());
  void writer.put(record('i-1'));
  await writer.close(20);
  assert.equal(writer.waiting, 1);
});
