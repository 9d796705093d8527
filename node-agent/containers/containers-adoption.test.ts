import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ContainerInfo } from '../../lib/container-api.ts';
import type { ReadyMessage } from '../../lib/daemon.ts';
import { HttpClient } from '../../lib/http/client.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { readSecret } from '../../lib/secrets.ts';
import { startRedis, type TestRedis } from '../../lib/testing/redis.ts';
import { until } from '../testing/agent-harness.ts';
import { kernelSkip } from '../testing/kernel-guests.ts';
import { makeBusyboxRoot } from '../testing/root-folders.ts';

/** kill -9 of an agent that has containers of users. */
const skip = kernelSkip();
const IMAGE = { repository: 'functions/busybox', digest: `sha256:${'b'.repeat(64)}` };

let root = '';
let redis: TestRedis;
let child: ChildProcess | undefined;
let client: HttpClient;
before(async () => {
  if (skip !== false) return;
  root = mkdtempSync(join(tmpdir(), 'hcad-'));
  makeBusyboxRoot(join(root, 'busybox'));
  redis = await startRedis();
});
after(async () => {
  await endAgent('SIGTERM');
  await redis?.stop();
  if (root !== '') rmSync(root, { recursive: true, force: true });
});

async function startAgent(): Promise<void> {
  const dataRoot = join(root, 'data');
  child = fork(join(import.meta.dirname, '../testing/agent-process.js'), {
    env: {
      ...process.env,
      TEST_IMAGES: root,
      HEARTH_DATA_ROOT: dataRoot,
      HEARTH_NAME: 'a1',
      HEARTH_PORT: '0',
      HEARTH_REDIS_URL: redis.url,
      HEARTH_SUBNET: '10.96.96.0/20',
      HEARTH_UID_BASE: String(0x5c00_0000),
      HEARTH_LOG_LEVEL: 'error',
    },
  });
  const [message] = (await once(child, 'message')) as [ReadyMessage];
  const baseUrl = message.addresses.api ?? '';
  const token = readSecret(dataRoot, 'cluster-token');
  client = new HttpClient({ baseUrl, token, peer: 'node agent' });
}

async function endAgent(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child === undefined) return;
  await client?.close();
  const exited = once(child, 'exit');
  child.kill(signal);
  child = undefined;
  await exited;
}

function sh(script: string, more: object = {}): Promise<ContainerInfo> {
  const body = { image: IMAGE, env: { SCRIPT: script }, user: '0:0', ...more };
  return client.json<ContainerInfo>('/v1/containers', { method: 'POST', body });
}

function get(name: string, action = ''): Promise<ContainerInfo> {
  return client.json<ContainerInfo>(`/v1/containers/${name}${action}`);
}

async function texts(name: string): Promise<string[]> {
  const found: string[] = [];
  const path = `/v1/containers/${name}/logs`;
  const query = { tail: 'all' };
  for await (const line of client.lines<LogLine>(path, { query })) found.push(line.text);
  return found;
}

test('kill -9 of the agent: containers go on, and the next one has them all', {
  skip,
}, async () => {
  await startAgent();
  const counts = 'i=0; while :; do i=$((i+1)); echo $i; busybox sleep 0.05; done';
  const live = await sh(counts, { name: 'live', labels: { a: 'b' }, volumes: ['v:/v'] });
  await sh('echo early; exit 4', { name: 'early' });
  assert.equal((await get('early', '/wait')).exitCode, 4);
  const waits = 'echo here; until busybox test -e /v/go; do busybox sleep 0.02; done; exit 9';
  await sh(waits, { name: 'meanwhile', volumes: ['v:/v'] });
  await sh(waits, { name: 'leaves', volumes: ['v:/v'], autoRemove: true });
  const held = await sh(counts, { name: 'held' });
  await client.json('/v1/containers/held/pause', { method: 'POST' });
  await until(async () => (await texts('meanwhile')).length === 1);
  await sh('busybox sleep 0.3; echo > /v/go', { volumes: ['v:/v'], autoRemove: true });
  await endAgent('SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 800));

  await startAgent();
  const adopted = await get('live');
  assert.equal(adopted.state, 'running');
  assert.deepEqual({ ...adopted, ports: [] }, { ...live, ports: [] });
  assert.equal((await get('early')).exitCode, 4);
  assert.deepEqual(await texts('early'), ['early']);
  const ended = await get('meanwhile');
  assert.deepEqual([ended.state, ended.exitCode], ['exited', 9]);
  await assert.rejects(get('leaves'), { code: 'NotFound' });
  assert.equal((await get('held')).state, 'paused');
  await client.json('/v1/containers/held/unpause', { method: 'POST' });
  const before = (await texts('held')).length;
  await until(async () => (await texts('held')).length > before);
  const seen = (await texts('live')).length;
  await until(async () => (await texts('live')).length > seen);
  await assert.rejects(sh('true', { name: 'live' }), { code: 'Conflict' });
  for (const name of ['live', held.id, 'early', 'meanwhile']) {
    await client.json(`/v1/containers/${name}`, { method: 'DELETE', query: { force: 1 } });
  }
});

test('kill -9 at any moment of starts and removals: each is whole or gone', { skip }, async () => {
  for (const afterMs of [0, 20, 100]) {
    if (child === undefined) await startAgent();
    const { containers } = await client.json<{ containers: ContainerInfo[] }>('/v1/containers');
    for (const { id } of containers) {
      const query = { force: 1 };
      client.json(`/v1/containers/${id}`, { method: 'DELETE', query }).catch(() => {});
    }
    const starts = [0, 1].map(() => sh('while :; do busybox sleep 1; done'));
    const settled = Promise.allSettled(starts);
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await endAgent('SIGKILL');
    await settled;
  }
  await startAgent();
  const { containers } = await client.json<{ containers: ContainerInfo[] }>('/v1/containers');
  const state = join(root, 'data/agent/a1');
  const running = containers.filter((one) => one.state === 'running').map(({ id }) => id);
  // One that ended meanwhile may still be on its way out
  const folders = join(state, 'engine/containers');
  await until(() => readdirSync(folders).sort().join() === running.sort().join());
  const files = readdirSync(join(state, 'containers')).sort();
  assert.deepEqual(files, containers.map(({ id }) => `${id}.json`).sort());
  for (const { id } of containers) {
    await client.json(`/v1/containers/${id}`, { method: 'DELETE', query: { force: 1 } });
  }
  assert.deepEqual(readdirSync(join(state, 'container-logs')), []);
});
