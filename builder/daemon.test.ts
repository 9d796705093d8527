import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { packTar } from '../lib/archive/tar.ts';
import type { ReadyMessage } from '../lib/daemon.ts';
import type { DeployEvent } from '../lib/deploy-events.ts';
import { newId } from '../lib/ids.ts';
import { createRegistryClient, type RegistryClient } from '../lib/oci/registry-client.ts';
import { createQueues, type Queues } from '../lib/queue.ts';
import type { BuildRecord } from '../lib/records.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Store } from '../lib/store/store.ts';
import { silentLog } from '../lib/telemetry/log.ts';
import { hasRedis, startRedis, type TestRedis } from '../lib/testing/redis.ts';
import { CONTEXTS } from './context/open-context.ts';
import { busybox, cannotRun, entriesOf, SPEC } from './testing/test-builder.ts';

const reason = cannotRun() ?? (hasRedis() ? undefined : 'needs redis-server');

const RUN = (script: string): string =>
  `FROM scratch\nCOPY busybox /bin/sh\nRUN ${script}\nCMD ["/bin/sh"]\n`;

/** A builder as a process of its own, so that it can be killed. */
suite('builder daemon', { skip: reason ?? false }, () => {
  let redis: TestRedis;
  let store: Store;
  let queues: Queues;
  let dataRoot: string;
  let daemon: ChildProcess;
  let addresses: Record<string, string>;
  let registry: RegistryClient;

  before(async () => {
    redis = await startRedis();
    dataRoot = mkdtempSync(join(tmpdir(), 'hearth-builder-'));
    const options = { url: redis.url, prefix: 'test', log: silentLog() };
    store = createRedisStore(options);
    queues = createQueues(options);
    await startDaemon();
    const token = readSecret(dataRoot, 'cluster-token');
    registry = createRegistryClient({ baseUrl: addresses.registry ?? '', token });
  });

  after(async () => {
    await stopDaemon('SIGTERM');
    await registry.close();
    await queues.close();
    await store.close();
    await redis.stop();
    rmSync(dataRoot, { recursive: true, force: true });
  });

  async function startDaemon(): Promise<void> {
    const fixed = ['--registry-port', new URL(addresses?.registry ?? 'http://x:0').port || '0'];
    daemon = spawn(
      process.execPath,
      [
        join(import.meta.dirname, 'main.js'),
        ...['--data-root', dataRoot, '--port', '0', ...fixed],
        ...['--redis-url', redis.url, '--store-prefix', 'test'],
        ...['--subnet', `10.${180 + ((randomBytes(1)[0] ?? 0) % 60)}.0.0/24`],
        ...['--uid-base', String(0x3800_0000), '--log-level', 'silent'],
      ],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    const [message] = (await once(daemon, 'message')) as [ReadyMessage];
    addresses = message.addresses;
  }

  async function stopDaemon(signal: NodeJS.Signals): Promise<void> {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    const exited = once(daemon, 'exit');
    daemon.kill(signal);
    await exited;
  }

  async function deploy(dockerfile: string, generation: number): Promise<string> {
    const files = {
      Dockerfile: dockerfile,
      busybox: busybox(),
    };
    const { digest } = await registry.putStream(CONTEXTS, packTar(entriesOf(files)));
    const buildId = newId('b');
    const record: BuildRecord = {
      id: buildId,
      functionName: 'hello',
      generation,
      contextDigest: digest,
      state: 'queued',
      createdAtMs: Date.now(),
    };
    await store.put('build', buildId, record, { expectVersion: 0 });
    const job = { buildId, functionName: 'hello', generation, contextDigest: digest, spec: SPEC };
    await queues.add('builds', job, { jobId: buildId });
    return buildId;
  }

  async function until(id: string, states: readonly BuildRecord['state'][]): Promise<BuildRecord> {
    for (;;) {
      const found = await store.get('build', id).catch(() => undefined);
      if (found !== undefined && states.includes(found.record.state)) return found.record;
      await sleep(20);
    }
  }

  async function eventsOf(id: string): Promise<DeployEvent[]> {
    const found = await store.readDeployEvents(id, { afterId: '0', blockMs: 1 });
    return found.map(({ event }) => event);
  }

  async function untilOutput(id: string, text: string): Promise<void> {
    const isThere = (event: DeployEvent): boolean => event.type === 'output' && event.text === text;
    while (!(await eventsOf(id)).some(isThere)) await sleep(20);
  }

  function leftovers(): string[] {
    const folders = ['builder/cache/work', 'builder/engine/containers'];
    const there = folders
      .map((folder) => join(dataRoot, folder))
      .filter((path) => existsSync(path));
    return there.flatMap((path) => readdirSync(path));
  }

  test('builds, pushes, records the revision and asks for its rollout', async () => {
    const id = await deploy(RUN('echo hello'), 1);
    const record = await until(id, ['built', 'failed']);
    assert.equal(record.state, 'built', JSON.stringify(record.error));
    assert.equal(record.revisionId, 'hello-00001');
    const revision = await store.get('revision', 'hello-00001');
    assert.equal(revision?.record.contract, 'port');
    const { image } = revision?.record ?? {};
    const pushed = await registry.getManifest('functions/hello', image?.digest ?? '');
    assert.equal(pushed.manifest.layers.length, 2);
    while ((await queues.depth('rollouts')).waiting !== 1) await sleep(20);
    const types = (await eventsOf(id)).map((event) => event.type);
    assert.deepEqual(types.slice(-2), ['push', 'pushed']);
    const metrics = await (await fetch(`${addresses.api}/metrics`)).text();
    assert.match(metrics, /^hearth_builder_builds_total\{result="built"\} 1$/m);
    assert.equal((await fetch(`${addresses.api}/readyz`)).status, 200);
    assert.deepEqual(leftovers(), []);
  });

  test('records a failure, and tells it as the last event', async () => {
    const id = await deploy(RUN('echo why; exit 9'), 2);
    const record = await until(id, ['built', 'failed']);
    assert.equal(record.error?.code, 'BuildStepFailed');
    const last = (await eventsOf(id)).at(-1);
    assert.ok(last?.type === 'failed');
    assert.equal(last.error.message, 'step 3/4 `RUN echo why; exit 9` exited 9');
    assert.deepEqual(last.error.details?.logTail, ['why']);
    assert.equal(await store.get('revision', 'hello-00002'), undefined);
  });

  test('ends a build whose record says cancelled', async () => {
    const id = await deploy(RUN('echo begun; sleep 600'), 3);
    await untilOutput(id, 'begun');
    const found = await store.get('build', id);
    assert.ok(found !== undefined);
    const record: BuildRecord = { ...found.record, state: 'cancelled' };
    await store.put('build', id, record, { expectVersion: found.version });
    while (leftovers().length > 0) await sleep(20);
    // Whoever cancels tells so; the builder adds nothing to it.
    assert.equal((await eventsOf(id)).at(-1)?.type, 'output');
    assert.equal((await store.get('build', id))?.record.state, 'cancelled');
  });

  test('goes on with a build while Redis is away', async () => {
    const id = await deploy(RUN('echo begun; sleep 1; echo ended'), 5);
    await untilOutput(id, 'begun');
    await redis.kill();
    await sleep(1_500);
    await redis.start();
    const record = await until(id, ['built', 'failed']);
    assert.equal(record.state, 'built', JSON.stringify(record.error));
    const lines = (await eventsOf(id)).flatMap((e) => (e.type === 'output' ? [e.text] : []));
    assert.deepEqual(lines, ['begun', 'ended']);
  });

  test('ends a RUN when it is asked to stop, and builds again when it is started', async () => {
    const id = await deploy(RUN('echo begun; sleep 2'), 6);
    await untilOutput(id, 'begun');
    await stopDaemon('SIGTERM');
    assert.equal(daemon.exitCode, 0);
    assert.deepEqual(leftovers(), []);
    assert.equal((await store.get('build', id))?.record.state, 'building');
    await startDaemon();
    const record = await until(id, ['built', 'failed']);
    assert.equal(record.state, 'built', JSON.stringify(record.error));
  });

  test('builds again after kill -9 in the middle of a RUN, and leaves nothing', async () => {
    const id = await deploy(RUN('echo begun; sleep 3'), 4);
    await untilOutput(id, 'begun');
    await stopDaemon('SIGKILL');
    await startDaemon();
    const record = await until(id, ['built', 'failed']);
    assert.equal(record.state, 'built', JSON.stringify(record.error));
    const events = await eventsOf(id);
    assert.ok(events.some((event) => event.type === 'warning' && /interrupted/.test(event.text)));
    while (leftovers().length > 0) await sleep(20);
  });
});
