import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../lib/config.ts';
import type { Daemon, ReadyMessage } from '../lib/daemon.ts';
import { HearthError } from '../lib/errors.ts';
import { createQueues, type Queues } from '../lib/queue.ts';
import type { RolloutRecord } from '../lib/records.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Store } from '../lib/store/store.ts';
import { silentLog } from '../lib/telemetry/log.ts';
import { hasRedis, startRedis, type TestRedis } from '../lib/testing/redis.ts';
import { startScheduler } from './daemon.ts';
import { FakeAgent, type FakeAgentOptions } from './testing/fake-agent.ts';
import { demand, functionRecord, gateway, instance, revision, spec } from './testing/records.ts';

const skip = hasRedis() ? false : 'needs redis-server';
const REVISION = 'hello-00001';

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (let tries = 0; tries < 600; tries += 1) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await delay(50);
  }
  assert.fail(`did not come true: ${what}`);
}

interface Stage {
  redis: TestRedis;
  store: Store;
  queues: Queues;
  agent(options?: Partial<FakeAgentOptions>): Promise<FakeAgent>;
  scheduler(): Promise<Daemon>;
  /** A scheduler as a process of its own, ready. */
  process(): Promise<ChildProcess>;
  /** Adds the rollout job and waits for its end. */
  rollOut(generation?: number): Promise<RolloutRecord>;
}

/** A real Redis and fake agents around real schedulers; all of it is gone afterwards. */
async function onStage(play: (stage: Stage) => Promise<void>): Promise<void> {
  const redis = await startRedis();
  const dataRoot = mkdtempSync(join(tmpdir(), 'hearth-scheduler-'));
  const shared = { url: redis.url, prefix: 'h', log: silentLog() };
  const store = createRedisStore(shared);
  const queues = createQueues(shared);
  const agents: FakeAgent[] = [];
  const daemons: Daemon[] = [];
  const children: ChildProcess[] = [];
  const config = loadConfig({
    argv: ['--data-root', dataRoot, '--redis-url', redis.url, '--store-prefix', 'h'],
    env: {},
    defaults: {},
  });
  const stage: Stage = {
    redis,
    store,
    queues,
    async agent(options = {}) {
      const token = readSecret(dataRoot, 'cluster-token');
      const agent = new FakeAgent({ store, name: `n${agents.length + 1}`, token, ...options });
      agents.push(agent);
      await agent.listen();
      return agent;
    },
    async scheduler() {
      const daemon = await startScheduler(config, silentLog());
      daemons.push(daemon);
      return daemon;
    },
    async process() {
      const args = ['--data-root', dataRoot, '--redis-url', redis.url, '--store-prefix', 'h'];
      const main = fileURLToPath(new URL('./main.js', import.meta.url));
      const child = fork(main, [...args, '--port', '0'], { stdio: 'ignore' });
      children.push(child);
      const [message] = (await once(child, 'message')) as [ReadyMessage];
      assert.equal(message.component, 'scheduler');
      return child;
    },
    async rollOut(generation = 1) {
      const { id, buildId } = revision(generation);
      await queues.add('rollouts', { revisionId: id, buildId }, { jobId: id });
      return await until('rollout ended', async () => {
        const record = (await store.get('rollout', id))?.record;
        return record?.state === 'starting' ? undefined : record;
      });
    },
  };
  try {
    await play(stage);
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    for (const child of children) child.kill('SIGKILL');
    for (const agent of agents) agent.die();
    await queues.close();
    await store.close();
    await redis.stop();
    rmSync(dataRoot, { recursive: true, force: true });
  }
}

async function putFunction(store: Store, min = 0, idleMs = 60_000): Promise<void> {
  const own = spec({ concurrency: 10, scale: { min, max: 5, idleMs } });
  await store.put('function', 'hello', functionRecord({ spec: own }));
  await store.put('revision', REVISION, revision(1, { spec: own }));
}

describe('rollouts', { skip }, () => {
  it('starts one instance, says so, and allows the node', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const one = await agent();
      await putFunction(store);
      await scheduler();
      const ended = await rollOut();
      assert.equal(ended.state, 'ready');
      assert.deepEqual(ended.nodes, ['n1']);
      assert.equal(one.starts.length, 1);
      assert.equal(one.starts[0]?.reason, 'rollout');
      const events = await store.readDeployEvents('b-1', { afterId: '0', blockMs: 0 });
      const { timeMs: _, ...event } = events[0]?.event ?? { timeMs: 0 };
      assert.deepEqual(event, { type: 'starting', revisionId: REVISION, node: 'n1' });
    }));

  it('fails with the error of the function, after one try', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const details = { logTail: ['boom'] };
      const failure = new HearthError('StartFailed', 'the program ended with code 1', { details });
      const one = await agent({ failStart: () => failure });
      await putFunction(store);
      await scheduler();
      const ended = await rollOut();
      assert.equal(ended.state, 'failed');
      assert.deepEqual(ended.error, failure.toBody());
      assert.deepEqual(ended.nodes, []);
      assert.equal(one.starts.length, 1);
    }));

  it('tries one other node when the first is full or away', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const full = new HearthError('NodeFull', 'node "n1" has no memory left');
      const first = await agent({ failStart: () => full });
      const second = await agent({ memoryReservedBytes: 1 });
      await putFunction(store);
      await scheduler();
      const ended = await rollOut();
      assert.equal(ended.state, 'ready');
      assert.equal(ended.nodes[0], 'n2');
      assert.deepEqual([first.starts.length, second.starts.length], [1, 1]);
    }));

  it('fails with NoCapacity when no node has the memory', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      await agent({ memoryReservedBytes: 1e12 });
      await putFunction(store);
      await scheduler();
      assert.equal((await rollOut()).error?.code, 'NoCapacity');
    }));

  it('starts nothing when a run before it has left a ready instance', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const one = await agent();
      await putFunction(store);
      await store.put('instance', 'i-1', instance('i-1', { readyAtMs: Date.now() }));
      await scheduler();
      assert.equal((await rollOut()).state, 'ready');
      assert.equal(one.starts.length, 0);
    }));

  it('ends an overtaken deploy for its followers', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const one = await agent();
      await putFunction(store);
      await store.put('function', 'hello', functionRecord({ generation: 2 }));
      await scheduler();
      assert.equal((await rollOut()).error?.code, 'Conflict');
      assert.equal(one.starts.length, 0);
      const events = await store.readDeployEvents('b-1', { afterId: '0', blockMs: 0 });
      assert.equal(events.at(-1)?.event.type, 'failed');
    }));

  it('waits for the first node of a platform that is just starting', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      await putFunction(store);
      await scheduler();
      const ended = rollOut();
      await delay(500);
      await agent();
      assert.equal((await ended).state, 'ready');
    }));
});

describe('scheduler', { skip }, () => {
  it('keeps min, follows the demand up, drains what is idle, and keeps the record current', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const one = await agent();
      await putFunction(store, 1, 500);
      await store.put('gateway', 'g1', gateway('g1', Date.now()));
      const daemon = await scheduler();
      await scheduler();
      await rollOut();
      const busy = demand({ running: 25, updatedAtMs: Date.now(), lastRequestAtMs: Date.now() });
      await store.put('demand', `g1:${REVISION}`, busy);
      await until('three instances', async () => one.instances.size === 3);
      const rollout = await until('desired', async () => {
        const record = (await store.get('rollout', REVISION))?.record;
        return record?.desired === 3 && record;
      });
      assert.deepEqual(rollout.nodes, ['n1']);
      await store.put('gateway', 'g1', gateway('g1', Date.now()));
      await store.put('demand', `g1:${REVISION}`, demand({ updatedAtMs: Date.now() }));
      await until('min again', async () => one.instances.size === 1);
      await delay(1_500);
      assert.equal(one.instances.size, 1, 'min stays');
      const ready = await fetch(`${daemon.addresses.api}/readyz`);
      assert.equal(ready.status, 200);
      const page = await (await fetch(`${daemon.addresses.api}/metrics`)).text();
      assert.match(page, /hearth_scheduler_rollouts_total/);
      assert.match(page, /hearth_scheduler_queue_jobs\{queue="rollouts",state="waiting"\} 0/);
    }));

  it('pauses longer and longer between starts of what dies young', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const one = await agent();
      await putFunction(store, 1);
      await scheduler();
      await rollOut();
      const endMs = performance.now() + 6_000;
      while (performance.now() < endMs) {
        for (const id of one.instances.keys()) await one.crash(id);
        await delay(50);
      }
      assert.ok(one.starts.length >= 3, `${one.starts.length} starts`);
      assert.ok(one.starts.length <= 5, `${one.starts.length} starts`);
    }));

  it('moves instances off a node that died', () =>
    onStage(async ({ store, agent, scheduler, rollOut }) => {
      const first = await agent();
      const second = await agent({ memoryReservedBytes: 1e9 });
      await putFunction(store, 1);
      await scheduler();
      await rollOut();
      assert.equal(first.instances.size, 1);
      await delay(1_200);
      first.die();
      await until('replaced', async () => second.instances.size === 1);
      const left = (await store.list('instance')).map(({ record }) => record.node);
      assert.deepEqual(left, ['n2']);
      await until('allowance', async () => {
        const record = (await store.get('rollout', REVISION))?.record;
        return record?.nodes.join() === 'n2';
      });
    }));

  it('goes on after kill -9 and restart of Redis, and keeps what runs', () =>
    onStage(async ({ redis, store, agent, scheduler, rollOut }) => {
      const one = await agent();
      await putFunction(store, 1);
      await scheduler();
      await rollOut();
      await redis.kill();
      await delay(3_000);
      await redis.start();
      await until('the store is back', () =>
        store.ping().then(
          () => true,
          () => false,
        ),
      );
      await one.beat();
      const [id] = one.instances.keys();
      await one.crash(id ?? '');
      await until('replaced', async () => one.instances.size === 1);
      assert.deepEqual(one.drains, []);
    }));

  it('takes over the rollout of a scheduler that was killed, without a second start', () =>
    onStage(async ({ store, agent, process, rollOut }) => {
      const one = await agent({ startMs: 1_000 });
      await putFunction(store);
      const first = await process();
      const ended = rollOut();
      await until('start begun', async () => one.starts.length === 1);
      first.kill('SIGKILL');
      await process();
      assert.equal((await ended).state, 'ready');
      assert.equal(one.starts.length, 1);
    }));

  it('leads on when the leader stands still, who then finds itself deposed', () =>
    onStage(async ({ store, agent, process, rollOut }) => {
      const one = await agent();
      await putFunction(store, 1);
      const first = await process();
      await rollOut();
      await until('a leader', () => store.get('scheduler', 'leader'));
      await process();
      // Old enough that its end is no failed start, which would delay the next.
      for (const [id, record] of one.instances) {
        const old = { ...record, readyAtMs: Date.now() - 60_000 };
        await store.put('instance', id, old);
      }
      first.kill('SIGSTOP');
      for (const id of one.instances.keys()) await one.crash(id);
      await until('replaced', async () => one.instances.size === 1);
      first.kill('SIGCONT');
      await delay(3_000);
      assert.equal(one.starts.length, 2);
      assert.equal(one.instances.size, 1);
    }));

  it('ends with code 0 on SIGTERM, also while Redis is away', () =>
    onStage(async ({ redis, process }) => {
      const first = await process();
      first.kill('SIGTERM');
      assert.deepEqual(await once(first, 'exit'), [0, null]);
      const second = await process();
      await redis.kill();
      second.kill('SIGTERM');
      assert.deepEqual(await once(second, 'exit'), [0, null]);
    }));
});
