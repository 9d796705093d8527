import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hasRedis } from '../lib/testing/redis.ts';
import { behaviours, type Seen } from './testing/echo-handler.ts';
import { recordsOf, TestPlatform, until } from './testing/platform.ts';

/** Instances that come and go while requests run, seen by two gateways. */

const skip = hasRedis() ? false : 'needs redis-server';
const seen: Seen = { requests: [], aborted: [] };
let platform: TestPlatform;

before(async () => {
  if (skip !== false) return;
  platform = await TestPlatform.start({
    gateways: 2,
    endpoint: 'tcp',
    handler: behaviours(seen, (id) => platform.agent.crash(id)),
  });
});
after(async () => platform?.stop());

function gateway(index: number): string {
  return platform.gateways[index]?.addresses.api ?? '';
}

async function instanceOf(path: string, base = gateway(0)): Promise<string> {
  const response = await fetch(`${base}/function/${path}/id`);
  assert.equal(response.status, 200);
  return (await response.text()).split(' ')[1] ?? '';
}

test('both gateways use the instance that one of them has started', { skip }, async () => {
  await platform.deploy('shared');
  const id = await instanceOf('shared');
  const starts = platform.agent.starts.length;
  await until(async () => (await instanceOf('shared', gateway(1))) === id);
  assert.ok(platform.agent.starts.length <= starts + 1);
});

test('a draining instance finishes what runs, takes nothing new, is then released', {
  skip,
}, async () => {
  await platform.deploy('leaving');
  const id = await instanceOf('leaving');
  const running = fetch(`${gateway(0)}/function/leaving/stream`);
  await until(() => seen.requests.some(({ url }) => url === '/stream'));
  await platform.agent.setState(id, 'draining');
  const released = (): string[] => platform.agent.instances.get(id)?.released ?? [];
  // The other gateway holds nothing and says so at once; this one does not before the end.
  await until(() => released().includes('g2'));
  assert.deepEqual(released(), ['g2']);
  assert.notEqual(await instanceOf('leaving'), id);
  assert.equal((await (await running).text()).split('data:').length, 6);
  await until(() => released().length === 2);
  assert.deepEqual(released().sort(), ['g1', 'g2']);
  await platform.agent.remove(id);
});

test('a request that finds nobody listening goes to another instance', { skip }, async () => {
  await platform.deploy('moved');
  const first = await instanceOf('moved');
  platform.agent.crash(first);
  const response = await fetch(`${gateway(0)}/function/moved/id`, { method: 'POST', body: 'x' });
  assert.equal(response.status, 200);
  assert.notEqual((await response.text()).split(' ')[1], first);
  await platform.agent.remove(first);
});

test('traffic moves to a new revision under load without a failed request', { skip }, async () => {
  await platform.deploy('rolling', { concurrency: 4 });
  const first = await instanceOf('rolling');
  const failures: string[] = [];
  const revisions = new Set<string>();
  let isOver = false;
  const load = async (base: string): Promise<void> => {
    while (!isOver) {
      const response = await fetch(`${base}/function/rolling/id`);
      const body = await response.text();
      if (response.status !== 200) failures.push(`${response.status} ${body}`);
      else revisions.add(body.split(' ')[0] ?? '');
    }
  };
  const workers = [0, 0, 0, 1, 1, 1].map((index) => load(gateway(index)));
  const { spec } = recordsOf({ ...(await specOf('rolling')) }, 2, []).function;
  await platform.agent.start({
    functionName: 'rolling',
    revisionId: 'rolling-00002',
    concurrency: 4,
  });
  await platform.deploy('rolling', spec, 2);
  for (const { record } of [...platform.agent.instances.values()]) {
    if (record.revisionId !== 'rolling-00001') continue;
    await platform.agent.setState(record.id, 'draining');
    await until(() => platform.agent.instances.get(record.id)?.released.length === 2);
    await platform.agent.remove(record.id);
  }
  revisions.clear();
  await new Promise((resolve) => setTimeout(resolve, 100));
  isOver = true;
  await Promise.all(workers);
  assert.deepEqual(failures, []);
  assert.deepEqual([...revisions], ['rolling-00002']);
  assert.equal(platform.agent.instances.has(first), false);
});

async function specOf(name: string) {
  const stored = await platform.store.get('function', name);
  assert.ok(stored);
  return stored.record.spec;
}

test('waiters of a revision that loses the traffic go to the new one', { skip }, async () => {
  await platform.deploy('waiting', { concurrency: 1, scale: { min: 0, max: 1, idleMs: 1000 } });
  const first = await instanceOf('waiting');
  const slow = fetch(`${gateway(0)}/function/waiting/hang/first`, {
    signal: AbortSignal.timeout(3_000),
  });
  slow.catch(() => undefined);
  await until(() => seen.requests.some(({ url }) => url === '/hang/first'));
  const second = instanceOf('waiting');
  await platform.deploy('waiting', await specOf('waiting'), 2);
  assert.notEqual(await second, first);
  platform.agent.crash(first);
});

test('demand tells running and idle instances, with one record a gateway', { skip }, async () => {
  await platform.deploy('wanted');
  const id = await instanceOf('wanted');
  const demandOf = async (gatewayName: string) =>
    (await platform.store.get('demand', `${gatewayName}:wanted-00001`))?.record;
  await until(async () => (await demandOf('g1'))?.instances[id]?.leases === 0);
  const idle = await demandOf('g1');
  assert.ok(idle !== undefined && idle.running === 0 && idle.waiting === 0);
  assert.ok(Math.abs(Date.now() - (idle.instances[id]?.idleSinceMs ?? 0)) < 5_000);
  assert.ok(idle.lastRequestAtMs > 0);
  const gone = new AbortController();
  const running = fetch(`${gateway(0)}/function/wanted/hang`, { signal: gone.signal });
  await until(async () => (await demandOf('g1'))?.running === 1);
  gone.abort();
  await assert.rejects(running);
  await until(async () => (await demandOf('g1'))?.running === 0);
});

test('warm functions are served while the store is away', { skip }, async () => {
  await platform.deploy('steady');
  const id = await instanceOf('steady');
  await platform.redis.kill();
  for (let i = 0; i < 20; i++) assert.equal(await instanceOf('steady'), id);
  await platform.redis.start();
  for (let i = 0; i < 20; i++) assert.equal(await instanceOf('steady'), id);
  await platform.deploy('after');
  await instanceOf('after');
});

test('a node that has left is still told who lets go of its last instances', { skip }, async () => {
  await platform.deploy('last');
  const id = await instanceOf('last');
  await platform.agent.leave();
  await platform.agent.setState(id, 'draining');
  const released = (): string[] => platform.agent.instances.get(id)?.released ?? [];
  await until(() => released().length === 2);
  await platform.agent.remove(id);
});
