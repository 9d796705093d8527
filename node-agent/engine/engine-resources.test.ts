import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { detectCgroupLayout } from './cgroup/cgroup.ts';
import { createEngine } from './engine.ts';
import type { EngineEvent } from './engine-event.ts';
import type { Container } from './engine-types.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { type EngineWorld, engineOptions, makeEngineWorld, says } from './testing/engine-world.ts';

const skip = missingForContainers() ?? false;
const MIB = 1024 * 1024;
/** Longest that a look of the engine takes to come round, with room for a busy machine. */
const LOOK_MS = 8_000;
const SPIN = ['/bin/sh', '-c', 'echo on; while :; do :; done'];

/** Waits until `found` gives something. */
async function eventually<T>(found: () => T | undefined, msMax = LOOK_MS): Promise<T> {
  const endMs = performance.now() + msMax;
  for (;;) {
    const value = found();
    if (value !== undefined) return value;
    assert.ok(performance.now() < endMs, 'it did not come');
    await sleep(20);
  }
}

async function cpuNs(container: Container): Promise<number> {
  return (await container.stats()).cpu.usageNs;
}

describe('resources of a container', { skip }, () => {
  let world: EngineWorld;
  const events: EngineEvent[] = [];
  const eventOf = (id: string, action: string): EngineEvent | undefined =>
    events.find((event) => event.id === id && event.action === action);
  before(async () => {
    world = await makeEngineWorld({ onEvent: (event) => events.push(event) });
  });
  after(() => world.close());

  test('one after another has its own limits, be they more or less', async () => {
    const { resources } = world.spec([]);
    const [memory, weight] =
      detectCgroupLayout().version === 'v2'
        ? ['memory.max', 'cpu.weight']
        : ['memory/memory.limit_in_bytes', 'cpu/cpu.shares'];
    const files = [memory, weight].map((name) => `/sys/fs/cgroup/${name}`);
    const weights: string[] = [];
    for (const [mebibytes, cpuWeight] of [[64, 500], [128], [48, 50], [48]] as const) {
      const memoryBytes = (mebibytes ?? 0) * MIB;
      const own = { ...resources, memoryBytes, ...(cpuWeight === undefined ? {} : { cpuWeight }) };
      const { stdout } = await world.run(['/bin/cat', ...files], { resources: own });
      const [limit, share = ''] = stdout.trim().split('\n');
      assert.equal(Number(limit), memoryBytes);
      weights.push(share);
      // Until the next ones wait, with the limits of this one
      await sleep(150);
    }
    assert.equal(weights[1], weights[3]);
    assert.equal(new Set(weights).size, 3);
  });

  test('one that is paused uses no time, and goes on where it was', async () => {
    const container = await world.engine.start(world.spec(SPIN));
    await says(container, /on/);
    await container.pause();
    assert.equal(container.paused, true);
    await assert.rejects(container.pause(), { code: 'Conflict' });
    const held = await cpuNs(container);
    await sleep(100);
    assert.equal(await cpuNs(container), held);
    await container.resume();
    assert.equal(container.paused, false);
    await assert.rejects(container.resume(), { code: 'Conflict' });
    await eventually(() => (eventOf(container.id, 'unpause') ? true : undefined));
    await sleep(50);
    assert.ok((await cpuNs(container)) > held);
    await container.kill();
    await container.remove();
    const said = events.filter(({ id }) => id === container.id).map(({ action }) => action);
    assert.deepEqual(said, ['create', 'start', 'pause', 'unpause', 'kill', 'die', 'destroy']);
  });

  test('a paused one is killed at once', async () => {
    const container = await world.engine.start(world.spec(SPIN));
    await says(container, /on/);
    await container.pause();
    assert.equal((await container.kill()).signal, 9);
    assert.equal(container.paused, false);
    await container.remove();
    await assert.rejects(container.pause(), { code: 'Conflict' });
  });

  test('a paused one hears SIGTERM: it goes on first', async () => {
    const script = 'trap "exit 7" TERM; echo on; while :; do sleep 0.05; done';
    const container = await world.engine.start(world.spec(['/bin/sh', '-c', script]));
    await says(container, /on/);
    await container.pause();
    container.signal('SIGTERM');
    assert.equal((await container.exited).code, 7);
    await container.remove();
  });

  test('statistics are the kernel’s own', async () => {
    const script =
      'dd if=/dev/zero of=/file bs=1M count=16 2>/dev/null; sleep 60 & sleep 60 & echo on; wait';
    const container = await world.engine.start(
      world.spec(['/bin/sh', '-c', script], { network: 'bridge' }),
    );
    await says(container, /on/);
    const stats = await container.stats();
    // The file is memory
    assert.ok(stats.memory.currentBytes > 16 * MIB, JSON.stringify(stats.memory));
    assert.ok(stats.memory.peakBytes >= stats.memory.currentBytes);
    assert.equal(stats.memory.limitBytes, 128 * MIB);
    assert.ok(stats.pids.current >= 3 && stats.pids.limit === 64, JSON.stringify(stats.pids));
    assert.ok(stats.cpu.usageNs > 0 && stats.cpu.usageNs >= stats.cpu.userNs);
    assert.deepEqual(Object.keys(stats.network ?? {}).length, 4);
    await container.kill();
    await container.remove();
  });

  test('a busy one is held back, and the statistics say so', async () => {
    const container = await world.engine.start(
      world.spec(SPIN, { resources: { ...world.spec([]).resources, cpuMillis: 100 } }),
    );
    await says(container, /on/);
    await sleep(600);
    const { cpu } = await container.stats();
    assert.ok(cpu.throttledPeriods > 0 && cpu.throttledNs > 0, JSON.stringify(cpu));
    assert.equal(cpu.limitMillis, 100);
    await container.kill();
    await container.remove();
  });

  test('a process that runs out of memory is an event with limit and peak', async () => {
    // It fills its own memory: `tail` keeps what it reads of a file without line ends
    const eat = 'tail /dev/zero';
    const script = `(${eat}); echo survived; sleep 60`;
    const resources = { ...world.spec([]).resources, memoryBytes: 32 * MIB };
    const container = await world.engine.start(
      world.spec(['/bin/sh', '-c', script], { resources }),
    );
    const { attributes } = await eventually(() => eventOf(container.id, 'oom'));
    assert.equal(attributes.limitBytes, 32 * MIB);
    assert.ok(Number(attributes.peakBytes) > 24 * MIB);
    if (detectCgroupLayout().version === 'v1')
      assert.equal(eventOf(container.id, 'die'), undefined);
    await container.kill();
    await container.remove();
  });

  test('one that ran out of memory says so after its removal, with limit and peak', async () => {
    const resources = { ...world.spec([]).resources, memoryBytes: 32 * MIB };
    const end = await world.run(['/bin/tail', '/dev/zero'], { resources });
    assert.equal(end.oomKilled, true);
    assert.equal(end.memory?.limitBytes, 32 * MIB);
    assert.ok((end.memory?.peakBytes ?? 0) > 24 * MIB);
  });

  test('forks against the limit and a full disk are events, once each', async () => {
    const script = `dd if=/dev/zero of=/file bs=1M 2>/dev/null
      sleep 60 & (for n in 1 2 3 4 5 6 7 8 9; do sleep 60 & done); wait`;
    const resources = { ...world.spec([]).resources, pids: 6, diskBytes: 4 * MIB };
    const container = await world.engine.start(
      world.spec(['/bin/sh', '-c', script], { resources }),
    );
    const pids = await eventually(() => eventOf(container.id, 'pids-limit'));
    assert.equal(pids.attributes.limit, 6);
    const disk = await eventually(() => eventOf(container.id, 'disk-limit'));
    assert.equal(disk.attributes.limitBytes, 4 * MIB);
    await container.kill();
    await container.remove();
    for (const action of ['pids-limit', 'disk-limit']) {
      const said = events.filter((event) => event.id === container.id && event.action === action);
      assert.equal(said.length, 1, action);
    }
  });

  test('when the machine is out of memory, a container ends before daemons', async () => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    const score = readFileSync(`/proc/${container.pid}/oom_score_adj`, 'utf8');
    assert.ok(Number(score) > Number(readFileSync('/proc/self/oom_score_adj', 'utf8')), score);
    await container.kill();
    await container.remove();
  });

  test('weight and swap are in the kernel as asked', async () => {
    const resources = { ...world.spec([]).resources, cpuWeight: 200, swapBytes: 8 * MIB };
    const container = await world.engine.start(world.spec(['sleep', '60'], { resources }));
    const cgroups = readFileSync(`/proc/${container.pid}/cgroup`, 'utf8');
    const { v1, v2, version } = detectCgroupLayout();
    const at = (controller: string, file: string): string => {
      const line = new RegExp(`:(?:[^:]*,)?${controller}(?:,[^:]*)?:(.*)$`, 'm').exec(cgroups);
      return readFileSync(`${v1[controller] ?? v2}${line?.[1] ?? ''}/${file}`, 'utf8').trim();
    };
    const own = /^0::(.*)$/m.exec(cgroups)?.[1] ?? '';
    const inV2 = (file: string): string => readFileSync(`${v2}${own}/${file}`, 'utf8').trim();
    const weight = version === 'v2' ? inV2('cpu.weight') : at('cpu', 'cpu.shares');
    assert.equal(weight, version === 'v2' ? '200' : '2048');
    if (version === 'v2') assert.equal(inV2('memory.swap.max'), String(8 * MIB));
    else assert.equal(at('memory', 'memory.memsw.limit_in_bytes'), String(136 * MIB));
    await container.kill();
    await container.remove();
  });

  test('a look at a container costs little: told and not judged', async (t) => {
    const container = await world.engine.start(world.spec(['sleep', '60']));
    const looked = container as Container & { look(): void };
    const looks = 1_000;
    const before = process.cpuUsage();
    for (let n = 0; n < looks; n++) looked.look();
    const { system, user } = process.cpuUsage(before);
    const us = (system + user) / looks;
    t.diagnostic(`${us.toFixed(0)} µs; a thousand containers: ${(us / 20).toFixed(1)} % of a core`);
    await container.kill();
    await container.remove();
  });

  test('one that is paused is so for the next process of the engine', async () => {
    const options = { ...engineOptions(world.folder), stateDir: join(world.folder, 'paused') };
    const first = await createEngine(options);
    const { id } = await first.start(world.spec(SPIN));
    await first.get(id)?.pause();
    await first.close({ keepContainers: true });
    const second = await createEngine(options);
    const [container] = await second.adopt();
    assert.equal(container?.paused, true);
    const held = (await container.stats()).cpu.usageNs;
    await container.resume();
    assert.equal(container.paused, false);
    await sleep(50);
    assert.ok((await container.stats()).cpu.usageNs > held);
    await second.close();
  });
});
