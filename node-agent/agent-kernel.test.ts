import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { type Config, loadConfig } from '../lib/config.ts';
import type { Daemon } from '../lib/daemon.ts';
import { HearthError } from '../lib/errors.ts';
import { HttpClient } from '../lib/http/client.ts';
import { MIB } from '../lib/limits.ts';
import type { LogLine } from '../lib/log-line.ts';
import type { InstanceEndpoint, InstanceRecord } from '../lib/records.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Store } from '../lib/store/store.ts';
import { silentLog } from '../lib/telemetry/log.ts';
import { startRedis, type TestRedis } from '../lib/testing/redis.ts';
import type { InstanceStatus, StartInstanceRequest } from './api/types.ts';
import { startNodeAgent } from './daemon.ts';
import { until } from './testing/agent-harness.ts';
import { kernelSkip, NODE_GUEST, requestOf } from './testing/kernel-guests.ts';
import { makeBusyboxRoot, makeNodeRoot } from './testing/root-folders.ts';
import { rootImages } from './testing/root-images.ts';

/** Everything above the kernel and the kernel itself: real containers, real Redis. */
const skip = kernelSkip();

let root = '';
let config: Config;
let redis: TestRedis;
let store: Store;
let daemon: Daemon;
let client: HttpClient;

before(async () => {
  if (skip !== false) return;
  root = mkdtempSync(join(tmpdir(), 'hak-'));
  makeBusyboxRoot(join(root, 'busybox'));
  makeNodeRoot(join(root, 'node'));
  redis = await startRedis();
  store = createRedisStore({ url: redis.url, prefix: 't', log: silentLog() });
  config = loadConfig({
    argv: [],
    env: {
      HEARTH_DATA_ROOT: join(root, 'data'),
      HEARTH_NAME: 'k1',
      HEARTH_REDIS_URL: redis.url,
      HEARTH_STORE_PREFIX: 't',
      HEARTH_SUBNET: '10.97.0.0/24',
      HEARTH_UID_BASE: String(0x5000_0000),
    },
  });
  daemon = await startNodeAgent(config, silentLog(), { images: rootImages(root) });
  client = new HttpClient({
    baseUrl: daemon.addresses.api ?? '',
    token: readSecret(config.dataRoot, 'cluster-token'),
    peer: 'node agent',
  });
});

after(async () => {
  await client?.close();
  await daemon?.stop();
  await store?.close();
  await redis?.stop();
  if (root !== '') rmSync(root, { recursive: true, force: true });
});

function start(body: StartInstanceRequest): Promise<InstanceRecord> {
  return client.json<InstanceRecord>('/v1/instances', { method: 'POST', body });
}

async function kill(record: InstanceRecord): Promise<void> {
  await client.json(`/v1/instances/${record.id}`, { method: 'DELETE' });
}

async function call(endpoint: InstanceEndpoint, path = '/'): Promise<string> {
  const to =
    endpoint.kind === 'unix'
      ? { socketPath: endpoint.path }
      : { host: endpoint.host, port: endpoint.port };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ ...to, path, agent: false }, resolve)
      .on('error', reject)
      .end();
  });
  return await text(answer);
}

async function logTexts(functionName: string): Promise<string[]> {
  const texts: string[] = [];
  const query = { function: functionName };
  for await (const line of client.lines<LogLine>('/v1/logs', { query })) texts.push(line.text);
  return texts;
}

const HTTPD =
  'busybox mkdir /tmp/w; echo served > /tmp/w/index.html; exec httpd -f -h /tmp/w -p $PORT';

test('a socket instance serves from its own user and namespaces', { skip }, async () => {
  const record = await start(requestOf('node', NODE_GUEST));
  const answer = JSON.parse(await call(record.endpoint));
  // Below an init, which is 1
  assert.deepEqual(answer, { uid: 1000, pid: 2, env: 'hello' });
  assert.equal(record.phases.importMs, 2);
  await kill(record);
});

test('a port instance is ready when its port opens', { skip }, async () => {
  const record = await start(requestOf('busybox', HTTPD));
  assert.equal(record.endpoint.kind, 'tcp');
  assert.equal(await call(record.endpoint, '/index.html'), 'served\n');
  await kill(record);
});

test('a program that listens elsewhere is told where', { skip }, async () => {
  const script = 'echo up; exec httpd -f -p 127.0.0.1:3000';
  const body = requestOf('busybox', script, { startTimeoutMs: 500 });
  await assert.rejects(start(body), (error) => {
    assert.ok(error instanceof HearthError);
    assert.equal(error.code, 'NotListening');
    assert.equal(error.message, 'nothing listened on 0.0.0.0:8080 within 0.5 s');
    assert.equal(error.hint, 'process listens on 127.0.0.1:3000; use host 0.0.0.0 and $PORT=8080');
    assert.deepEqual(error.details?.logTail, ['up']);
    return true;
  });
});

test('a program that ends at once shows its last words', { skip }, async () => {
  for (let i = 0; i < 10; i++) {
    await assert.rejects(start(requestOf('busybox', 'echo no config >&2; exit 9')), (error) => {
      assert.ok(error instanceof HearthError);
      assert.equal(error.code, 'StartFailed');
      assert.match(error.message, /exited 9 after/);
      assert.deepEqual(error.details?.logTail, ['no config']);
      return true;
    });
  }
});

test('out of memory while starting', { skip }, async () => {
  const script = `const kept = []; for (;;) kept.push(Buffer.alloc(1e7, 1));`;
  const body = requestOf('node', script, { memoryBytes: 96 * MIB });
  await assert.rejects(start(body), { code: 'InstanceOOM', status: 422 });
});

test('a serving instance that runs out of memory says so', { skip }, async () => {
  const body = requestOf('node', NODE_GUEST, { memoryBytes: 96 * MIB, functionName: 'eater' });
  const record = await start(body);
  await assert.rejects(call(record.endpoint, '/eat'));
  await until(async () => {
    const status = await client.json<InstanceStatus>(`/v1/instances/${record.id}`);
    return status.error?.code === 'InstanceOOM';
  });
  const texts = await logTexts('eater');
  assert.ok(texts.some((line) => line.startsWith('ran out of memory (limit 96 MiB, peak 9')));
});

test('a drained instance ends on SIGTERM and leaves nothing', { skip }, async () => {
  const record = await start(requestOf('busybox', HTTPD));
  const body = { reason: 'test', timeoutMs: 1_000 };
  await client.json(`/v1/instances/${record.id}/drain`, { method: 'POST', body });
  await until(async () => (await store.get('instance', record.id)) === undefined);
  await until(async () => (await logTexts('hello')).some((line) => line.startsWith('stopped: ')));
});

test('two agents on one machine do not meet; the end of one leaves the other', {
  skip,
}, async () => {
  const name = 'k2';
  const own = { ...config, name, subnet: '10.97.2.0/24', uidBase: 0x5400_0000 };
  const other = await startNodeAgent(own, silentLog(), { images: rootImages(root) });
  const peer = new HttpClient({
    baseUrl: other.addresses.api ?? '',
    token: readSecret(config.dataRoot, 'cluster-token'),
    peer: 'node agent',
  });
  const body = requestOf('busybox', HTTPD);
  const theirs = await peer.json<InstanceRecord>('/v1/instances', { method: 'POST', body });
  const ours = await start(body);
  assert.equal(theirs.node, 'k2');
  assert.equal(await call(theirs.endpoint, '/index.html'), 'served\n');
  await peer.close();
  await other.stop();
  assert.equal(await call(ours.endpoint, '/index.html'), 'served\n');
  assert.equal((await start(body)).state, 'ready');
  const { instances } = await client.json<{ instances: InstanceRecord[] }>('/v1/instances');
  for (const record of instances) await kill(record);
});

test('after all of it nothing is left of any container', { skip }, async () => {
  await until(async () => (await store.list('instance')).length === 0);
  const agentRoot = join(config.dataRoot, 'agent', 'k1');
  await until(() => readdirSync(join(agentRoot, 'sockets')).length === 0);
  await until(() => readdirSync(join(agentRoot, 'engine/containers')).length === 0);
  assert.deepEqual(readdirSync(join(agentRoot, 'instances')), []);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(root), false);
});
