import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ReadyMessage } from '../lib/daemon.ts';
import { HttpClient } from '../lib/http/client.ts';
import type { LogLine } from '../lib/log-line.ts';
import type { InstanceRecord } from '../lib/records.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Store } from '../lib/store/store.ts';
import { silentLog } from '../lib/telemetry/log.ts';
import { Ledger } from '../lib/testing/ledger.ts';
import { startRedis, type TestRedis } from '../lib/testing/redis.ts';
import { engineName } from './state/folders.ts';
import { until } from './testing/agent-harness.ts';
import { kernelSkip, NODE_GUEST, requestOf } from './testing/kernel-guests.ts';
import { makeNodeRoot } from './testing/root-folders.ts';

const skip = kernelSkip();

let root = '';
/** All that an agent of these tests may leave. */
let ledger: Ledger;
let redis: TestRedis;
let store: Store;
let agent: { child: ChildProcess; client: HttpClient } | undefined;

before(async () => {
  if (skip !== false) return;
  root = mkdtempSync(join(tmpdir(), 'haa-'));
  const engine = engineName(join(root, 'data'), 'a1');
  const markers = [`--engine=${engine}`];
  ledger = new Ledger({ engines: [engine], folders: [root], markers });
  makeNodeRoot(join(root, 'node'));
  redis = await startRedis();
  store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
});

after(async () => {
  await endAgent('SIGTERM');
  await store?.close();
  await redis?.stop();
  if (root !== '') rmSync(root, { recursive: true, force: true });
});

async function startAgent(): Promise<HttpClient> {
  const dataRoot = join(root, 'data');
  const child = fork(join(import.meta.dirname, 'testing/agent-process.js'), {
    env: {
      ...process.env,
      TEST_IMAGES: root,
      HEARTH_DATA_ROOT: dataRoot,
      HEARTH_NAME: 'a1',
      HEARTH_REDIS_URL: redis.url,
      HEARTH_STORE_PREFIX: 't',
      HEARTH_SUBNET: '10.97.1.0/24',
      HEARTH_UID_BASE: String(0x5800_0000),
      HEARTH_LOG_LEVEL: 'warn',
    },
  });
  const [message] = (await once(child, 'message')) as [ReadyMessage];
  const client = new HttpClient({
    baseUrl: message.addresses.api ?? '',
    token: readSecret(dataRoot, 'cluster-token'),
    peer: 'node agent',
  });
  agent = { child, client };
  return client;
}

async function endAgent(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (agent === undefined) return;
  const { child, client } = agent;
  agent = undefined;
  await client.close();
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

async function start(client: HttpClient, functionName: string): Promise<InstanceRecord> {
  const body = requestOf('node', NODE_GUEST, { functionName });
  return await client.json<InstanceRecord>('/v1/instances', { method: 'POST', body });
}

function call(record: InstanceRecord, path = '/'): Promise<string> {
  assert.ok(record.endpoint.kind === 'unix');
  const { path: socketPath } = record.endpoint;
  return new Promise((resolve, reject) => {
    httpRequest({ socketPath, path, agent: false }, (answer) => resolve(text(answer)))
      .on('error', reject)
      .end();
  });
}

async function list(client: HttpClient): Promise<InstanceRecord[]> {
  return (await client.json<{ instances: InstanceRecord[] }>('/v1/instances')).instances;
}

test('kill -9 of the agent: instances serve on, its next process adopts them', {
  skip,
}, async () => {
  const first = await startAgent();
  const kept = await start(first, 'kept');
  const lost = await start(first, 'lost');
  await until(async () => (await store.list('instance')).length === 2);

  await endAgent('SIGKILL');
  assert.match(await call(kept), /"env":"kept"/);
  // Ends while nobody watches.
  await call(lost, '/exit').catch(() => '');
  assert.match(await call(kept), /"env":"kept"/);

  const second = await startAgent();
  assert.deepEqual(await list(second), [kept]);
  assert.match(await call(kept), /"env":"kept"/);
  await until(async () => {
    const ids = (await store.list('instance')).map(({ record }) => record.id);
    return ids.length === 1 && ids[0] === kept.id;
  });

  const added = await start(second, 'added');
  assert.match(await call(added), /"env":"added"/);
  await call(kept, '/exit').catch(() => '');
  await until(async () => (await list(second)).every(({ id }) => id !== kept.id));
  const texts: string[] = [];
  const query = { function: 'kept' };
  for await (const line of second.lines<LogLine>('/v1/logs', { query })) texts.push(line.text);
  assert.ok(texts.includes('adopted by a new process of the node agent'));
  assert.ok(texts.some((line) => line.startsWith('exited')));

  await endAgent('SIGTERM');
  assert.deepEqual(await store.list('instance'), []);
  assert.deepEqual(await store.list('node'), []);
  const state = join(root, 'data/agent/a1');
  assert.deepEqual(readdirSync(join(state, 'instances')), []);
  assert.deepEqual(readdirSync(join(state, 'sockets')), []);
  assert.equal(readdirSync(state).includes('agent.pid'), false);
});

test('kill -9 in the middle of a start: the next process leaves nothing of it', {
  skip,
}, async () => {
  const first = await startAgent();
  const body = requestOf('node', 'setInterval(() => {}, 1000)', { startTimeoutMs: 60_000 });
  first.json('/v1/instances', { method: 'POST', body }).catch(() => {});
  const containers = join(root, 'data/agent/a1/engine/containers');
  await until(() => readdirSync(containers).length === 1);
  await endAgent('SIGKILL');
  const second = await startAgent();
  assert.deepEqual(await list(second), []);
  assert.deepEqual(readdirSync(containers), []);
  await endAgent('SIGTERM');
});

test('kill -9 at any moment of starts and ends: what is adopted serves, the rest is gone', {
  skip,
}, async () => {
  for (const afterMs of [0, 4, 9, 15, 22, 30, 60]) {
    const client = await startAgent();
    const before = await list(client);
    for (const record of before) assert.match(await call(record), /"env":"kept"/);
    const oldest = before[0];
    if (oldest !== undefined) {
      client.json(`/v1/instances/${oldest.id}`, { method: 'DELETE' }).catch(() => {});
    }
    const body = requestOf('node', NODE_GUEST, { functionName: 'kept' });
    const starts = [0, 1].map(() => client.json('/v1/instances', { method: 'POST', body }));
    const settled = Promise.allSettled(starts);
    await delay(afterMs);
    await endAgent('SIGKILL');
    await settled;
  }
  const last = await startAgent();
  const records = await list(last);
  const agentRoot = join(root, 'data/agent/a1');
  assert.equal(readdirSync(join(agentRoot, 'engine/containers')).length, records.length);
  assert.equal(readdirSync(join(agentRoot, 'instances')).length, records.length);
  await endAgent('SIGTERM');
  await ledger.assertBalanced();
});

test('two agents with one name and folder: the second is refused', { skip }, async () => {
  const first = await startAgent();
  const { child, client } = agent ?? assert.fail();
  agent = undefined;
  const refused = fork(join(import.meta.dirname, 'testing/agent-process.js'), {
    env: {
      ...process.env,
      HEARTH_DATA_ROOT: join(root, 'data'),
      HEARTH_NAME: 'a1',
      HEARTH_REDIS_URL: redis.url,
      HEARTH_LOG_LEVEL: 'silent',
    },
  });
  const [code] = await once(refused, 'exit');
  assert.equal(code, 1);
  assert.deepEqual(await list(first), []);
  agent = { child, client };
});
