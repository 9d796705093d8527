import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isLastEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import type { BuildJob } from '../../lib/jobs.ts';
import type { DeployEventLine, FunctionDescription } from '../../lib/management-api.ts';
import type { BuildRecord, RolloutRecord } from '../../lib/records.ts';
import { defaultSpec } from '../../lib/spec/defaults.ts';
import { createRedisStore } from '../../lib/store/redis.ts';
import type { Store } from '../../lib/store/store.ts';
import { silentLog } from '../../lib/telemetry/log.ts';
import { Metrics } from '../../lib/telemetry/metrics.ts';
import { hasRedis, startRedis, type TestRedis } from '../../lib/testing/redis.ts';
import { createGateway, type Gateway } from '../app.ts';
import { followStore } from '../mirror.ts';
import { FakeAgent } from '../testing/fake-agent.ts';
import { fakeRegistry } from '../testing/fake-registry.ts';
import { recordsOf, until } from '../testing/platform.ts';

/** The management API without a port, on a real store. */

const skip = hasRedis() ? false : 'needs redis-server';
const TOKEN = 'user-token';
let redis: TestRedis;
let store: Store;
let agent: FakeAgent;
let gateway: Gateway;
let queued: BuildJob[] = [];

before(async () => {
  if (skip !== false) return;
  redis = await startRedis();
  store = createRedisStore({ url: redis.url, prefix: 'h', log: silentLog() });
  agent = new FakeAgent({ store, handler: () => (_request, response) => response.end('ok') });
  await agent.listen();
  gateway = createGateway({
    name: 'g1',
    store,
    registry: fakeRegistry(),
    registryUrl: '',
    enqueueBuild: async (job) => {
      queued.push(job);
    },
    userToken: TOKEN,
    clusterToken: 'cluster-token',
    publicUrl: () => 'http://hearth.test',
    log: silentLog(),
    metrics: new Metrics({ processMetrics: false }),
  });
  const { mirror, following } = gateway;
  void followStore({ store, mirror, signal: following.signal, log: silentLog() });
  await until(() => mirror.isReady);
});
after(async () => {
  gateway?.stopping.abort();
  gateway?.following.abort();
  gateway?.deploys.stop();
  gateway?.pools.close();
  await gateway?.app.close();
  await gateway?.agents.close();
  await gateway?.upstreams.close();
  await agent?.stop();
  await store?.close();
  await redis?.stop();
});

interface Answer {
  status: number;
  body: Record<string, unknown> & { error?: { code: string; message: string; details?: unknown } };
}

async function call(method: 'GET' | 'PUT' | 'DELETE' | 'POST', url: string, payload?: unknown) {
  const response = await gateway.app.inject({
    method,
    url,
    headers: { authorization: `Bearer ${TOKEN}` },
    ...(payload === undefined ? {} : { payload: payload as object }),
  });
  return { status: response.statusCode, body: response.json() } as Answer;
}

async function upload(content: string): Promise<string> {
  const response = await gateway.app.inject({
    method: 'POST',
    url: '/v1/uploads',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-tar' },
    payload: content,
  });
  assert.equal(response.statusCode, 201);
  return (response.json() as { digest: string }).digest;
}

async function eventsOf(buildId: string): Promise<DeployEventLine[]> {
  const response = await gateway.app.inject({
    url: `/v1/builds/${buildId}/events`,
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const lines = response.payload.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as DeployEventLine);
}

/** What the builder and the scheduler would do for a build. */
async function finishBuild(buildId: string, change: Partial<RolloutRecord> = {}): Promise<string> {
  const build = await store.get('build', buildId);
  assert.ok(build);
  const { functionName, generation } = build.record;
  const stored = await store.get('function', functionName);
  assert.ok(stored);
  const records = recordsOf(stored.record.spec, generation, [agent.name]);
  const { id } = records.revision;
  await store.put('revision', id, { ...records.revision, buildId });
  const built: BuildRecord = { ...build.record, state: 'built', revisionId: id };
  await store.put('build', buildId, built, { expectVersion: build.version });
  await store.put('rollout', id, { ...records.rollout, ...change });
  return id;
}

async function deploy(name: string, content = name, more: object = {}): Promise<Answer> {
  const contextDigest = await upload(content);
  return call('PUT', `/v1/functions/${name}`, { spec: defaultSpec(name), contextDigest, ...more });
}

async function stateOf(name: string): Promise<string | undefined> {
  return (await store.get('function', name))?.record.state;
}

test('every path but the open ones needs the token', { skip }, async () => {
  for (const url of ['/v1/functions', '/v1/system', '/v1/builds/b-1', '/v1/nothing']) {
    const response = await gateway.app.inject({ url });
    assert.equal(response.statusCode, 401, url);
  }
  for (const url of ['/healthz', '/readyz', '/metrics']) {
    assert.equal((await gateway.app.inject({ url })).statusCode, 200, url);
  }
});

test('a deploy goes from upload to ready, with its events', { skip }, async () => {
  const answer = await deploy('hello');
  assert.equal(answer.status, 202);
  const { buildId } = answer.body as { buildId: string };
  assert.deepEqual(answer.body, { buildId, functionName: 'hello', generation: 1 });
  assert.deepEqual(
    queued.map((job) => job.buildId),
    [buildId],
  );
  const following = eventsOf(buildId);
  const revisionId = await finishBuild(buildId);
  const events = await following;
  assert.deepEqual(
    events.map(({ type }) => type),
    ['queued', 'ready'],
  );
  const last = events.at(-1);
  assert.ok(last?.type === 'ready' && isLastEvent(last));
  assert.equal(last.url, 'http://hearth.test/function/hello');
  assert.equal(last.revisionId, revisionId);
  const stored = (await store.get('function', 'hello'))?.record;
  assert.equal(stored?.state, 'ready');
  assert.deepEqual(stored?.traffic, [{ revisionId, percent: 100 }]);
});

test('the same deploy again is unchanged, unless it is forced', { skip }, async () => {
  const again = await deploy('hello');
  assert.equal(again.status, 200);
  assert.deepEqual(again.body, {
    unchanged: true,
    revisionId: 'hello-00001',
    url: 'http://hearth.test/function/hello',
  });
  const forced = await deploy('hello', 'hello', { force: true });
  assert.equal(forced.status, 202);
  assert.equal(forced.body.generation, 2);
  await finishBuild(String(forced.body.buildId));
  await until(async () => (await stateOf('hello')) === 'ready');
});

test('a deploy during a deploy is refused, unless forced: then the first is cancelled', {
  skip,
}, async () => {
  const first = await deploy('twice', 'one');
  const second = await deploy('twice', 'two');
  assert.equal(second.status, 409);
  assert.equal(second.body.error?.code, 'DeployInProgress');
  assert.match(second.body.error?.message ?? '', /version 1 of "twice" started \d+ s ago/);
  const forced = await deploy('twice', 'two', { force: true });
  assert.equal(forced.status, 202);
  const events = await eventsOf(String(first.body.buildId));
  const last = events.at(-1);
  assert.ok(last?.type === 'failed');
  assert.equal(last.error.code, 'BuildCancelled');
  await finishBuild(String(forced.body.buildId));
  await until(async () => (await stateOf('twice')) === 'ready');
});

test('two deploys at the same moment: one wins, the other is told', { skip }, async () => {
  const answers = await Promise.all([deploy('race', 'a'), deploy('race', 'b')]);
  assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 409]);
});

test('a start that failed fails the deploy and leaves the traffic where it was', {
  skip,
}, async () => {
  const before = (await store.get('function', 'hello'))?.record.traffic;
  const answer = await deploy('hello', 'bad');
  const error = new HearthError('NotListening', 'nothing listened on 8080').toBody();
  await finishBuild(String(answer.body.buildId), { state: 'failed', error });
  const last = (await eventsOf(String(answer.body.buildId))).at(-1);
  assert.ok(last?.type === 'failed');
  assert.deepEqual(last.error, error);
  await until(async () => (await stateOf('hello')) === 'failed');
  const after = (await store.get('function', 'hello'))?.record;
  assert.deepEqual(after?.lastError, error);
  assert.deepEqual(after?.traffic, before);
});

test('a cancelled build fails its deploy, and its followers see the end', { skip }, async () => {
  const answer = await deploy('stopped');
  const url = `/v1/builds/${answer.body.buildId}`;
  assert.equal((await call('GET', url)).body.state, 'queued');
  const cancelled = await call('DELETE', url);
  assert.equal(cancelled.status, 200);
  assert.equal(cancelled.body.state, 'cancelled');
  const last = (await eventsOf(String(answer.body.buildId))).at(-1);
  assert.ok(last?.type === 'failed');
  assert.equal(last.error.code, 'BuildCancelled');
  await until(async () => (await stateOf('stopped')) === 'failed');
});

test('events can be read on from an id', { skip }, async () => {
  const answer = await deploy('resume');
  await finishBuild(String(answer.body.buildId));
  const [first, last] = await eventsOf(String(answer.body.buildId));
  const rest = await gateway.app.inject({
    url: `/v1/builds/${answer.body.buildId}/events?after=${first?.id}`,
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  assert.deepEqual(JSON.parse(rest.payload), last);
  const bad = await call('GET', `/v1/builds/${answer.body.buildId}/events?after=x`);
  assert.equal(bad.body.error?.code, 'BadRequest');
});

test('what is wrong with a deploy is told before anything is written', { skip }, async () => {
  const spec = defaultSpec('wrong');
  const contextDigest = await upload('wrong');
  const put = (body: unknown, name = 'wrong') => call('PUT', `/v1/functions/${name}`, body);
  const missing = `sha256:${'0'.repeat(64)}`;
  const table: [Answer, number, string][] = [
    [await put({ spec, contextDigest: missing }), 404, 'BlobNotFound'],
    [await put({ spec, contextDigest: 'sha256:x' }), 400, 'BadRequest'],
    [await put({ spec: { ...spec, pids: 0 }, contextDigest }), 400, 'ConfigInvalid'],
    [await put({ spec: { ...spec, env: { '1A': 'x' } }, contextDigest }), 400, 'EnvInvalid'],
    [await put({ spec: { ...spec, name: 'other' }, contextDigest }), 400, 'ConfigInvalid'],
    [await put({ spec, contextDigest, froce: true }), 400, 'BadRequest'],
    [await put({ spec, contextDigest, force: 'yes' }), 400, 'BadRequest'],
    [await put([]), 400, 'BadRequest'],
    [await put({ spec, contextDigest }, 'Wrong'), 400, 'NameInvalid'],
    [await put({ spec, contextDigest }, 'a%2fb'), 400, 'NameInvalid'],
  ];
  for (const [answer, status, code] of table) {
    assert.equal(answer.body.error?.code, code);
    assert.equal(answer.status, status);
  }
  assert.equal(await stateOf('wrong'), undefined);
});

test('list and describe show functions with their instances', { skip }, async () => {
  const record = await agent.start({
    functionName: 'hello',
    revisionId: 'hello-00002',
    concurrency: 5,
  });
  await until(() => gateway.mirror.get('instance', record.id) !== undefined);
  const { body } = await call('GET', '/v1/functions');
  const rows = body.functions as { name: string; instances: number; url: string }[];
  const names = rows.map(({ name }) => name);
  assert.deepEqual(names, [...names].sort());
  const row = rows.find(({ name }) => name === 'hello');
  assert.equal(row?.instances, 1);
  assert.equal(row?.url, 'http://hearth.test/function/hello');
  const described = (await call('GET', '/v1/functions/hello'))
    .body as unknown as FunctionDescription;
  assert.equal(described.function.name, 'hello');
  assert.equal(described.instances[0]?.id, record.id);
  assert.deepEqual(
    described.revisions.map(({ generation }) => generation),
    [3, 2, 1],
  );
  assert.equal((await call('GET', '/v1/functions/nothere')).body.error?.code, 'FunctionNotFound');
});

test('logs come from all live agents, and only of a function that exists', { skip }, async () => {
  const response = await gateway.app.inject({
    url: '/v1/functions/hello/logs?tail=5',
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  assert.equal(response.statusCode, 200);
  assert.equal((JSON.parse(response.payload) as { text: string }).text, 'hello');
  assert.equal((await call('GET', '/v1/functions/hello/logs?tail=-1')).status, 400);
  assert.equal((await call('GET', '/v1/functions/nothere/logs')).status, 404);
});

test('system names the nodes', { skip }, async () => {
  const { body } = await call('GET', '/v1/system');
  assert.equal((body.nodes as { name: string }[])[0]?.name, 'n1');
  assert.equal(body.gateway, 'g1');
});

test('a deleted function is gone, its instances drain, and its name starts anew', {
  skip,
}, async () => {
  const [instance] = agent.instances.values();
  const gone = await call('DELETE', '/v1/functions/hello');
  assert.deepEqual(gone.body, { deleted: 'hello', draining: 1 });
  assert.equal(instance?.record.state, 'draining');
  await until(() => instance?.released.includes('g1') === true);
  assert.equal((await call('DELETE', '/v1/functions/hello')).body.error?.code, 'FunctionNotFound');
  assert.equal(await store.get('revision', 'hello-00001'), undefined);
  assert.equal(await store.get('rollout', 'hello-00002'), undefined);
  await until(() => gateway.mirror.get('function', 'hello') === undefined);
  // An instance of the old function is still there: its revision's id is not given again.
  const again = await deploy('hello', 'anew');
  assert.equal(again.body.generation, 3);
});

test('a build that cannot be queued fails at once and the next deploy may pass', {
  skip,
}, async () => {
  queued = [];
  const push = Array.prototype.push;
  const broken = Object.assign([] as BuildJob[], {
    push(): number {
      throw new HearthError('QueueUnavailable', 'redis is away');
    },
  });
  queued = broken;
  const answer = await deploy('unlucky');
  assert.equal(answer.body.error?.code, 'QueueUnavailable');
  queued = Object.assign([] as BuildJob[], { push });
  await until(async () => (await stateOf('unlucky')) === 'failed');
  assert.equal((await deploy('unlucky')).status, 202);
});
