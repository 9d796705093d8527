import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LIMITS, MIB } from '../../lib/limits.ts';
import { processesOf } from '../../lib/testing/machine.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { makeEngineWorld } from './testing/engine-world.ts';
import { RemoteEngine } from './testing/remote-engine.ts';

const skip = missingForContainers() ?? false;
const WAIT_MS = 20_000;
/** More than a pipe holds. */
const FLOOD_BYTES = 20 * MIB;

async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + WAIT_MS;
  while (!(await check())) {
    assert.ok(performance.now() < endMs, what);
    await delay(20);
  }
}

describe('output while no engine is there', { skip }, () => {
  test('blocks nobody: its head comes later, the rest is counted', async (t) => {
    const world = await makeEngineWorld({ networkSlots: 0, blanks: 0 });
    t.after(() => world.close());
    const name = `x${world.options.name.slice(1)}`;
    const options = { ...world.options, name, stateDir: join(world.folder, 'other') };
    const first = new RemoteEngine(options);
    t.after(() => first.crash());
    await first.adopt();
    const wait = 'trap go=1 HUP; echo up; while [ -z "$go" ]; do sleep 0.02; done';
    const flood = `busybox head -c ${FLOOD_BYTES} /dev/zero`;
    const script = `${wait}; echo begin; ${flood}; echo err >&2; echo done >/done; sleep 600`;
    const upperDir = join(world.folder, 'upper');
    const spec = world.spec(['sh', '-c', script], { upperDir });
    const { id, pid } = await first.start(spec);
    await until('up', async () => (await first.output(id)).includes('up'));
    await first.crash();

    process.kill(pid, 'SIGHUP');
    await until('the flood was written', () => isThere(join(upperDir, 'done')));
    const [drainer, ...others] = processesOf(`--engine=${name}`);
    assert.deepEqual(others, []);
    const rss = /VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${drainer}/status`, 'utf8'))?.[1];
    t.diagnostic(`the drainer has ${Math.round(Number(rss) / 1024)} MiB`);

    const second = new RemoteEngine(options);
    t.after(() => second.crash());
    const { adopted } = await second.adopt();
    assert.deepEqual(
      adopted.map((one) => [one.id, one.pid]),
      [[id, pid]],
    );
    const said = await second.output(id);
    assert.ok(said.includes('begin\n\0\0'));
    assert.ok(said.includes('err\n'));
    const missed = await second.missed(id);
    const flooded = 'begin\n'.length + FLOOD_BYTES;
    assert.equal(missed, flooded - LIMITS.outputSpillBytes);
    assert.equal(said.length, LIMITS.outputSpillBytes + 'err\n'.length);
    assert.ok(!processesOf(`--engine=${name}`).includes(drainer ?? 0));
    await second.remove(id);
    await second.close({ keepContainers: false });
    assert.deepEqual(processesOf(`--engine=${name}`), []);
  });

  test('the reader ends with the last container', async (t) => {
    const world = await makeEngineWorld({ networkSlots: 0, blanks: 0 });
    t.after(() => world.close());
    const name = `y${world.options.name.slice(1)}`;
    const options = { ...world.options, name, stateDir: join(world.folder, 'other') };
    const first = new RemoteEngine(options);
    t.after(() => first.crash());
    await first.adopt();
    const { id, pid } = await first.start(world.spec(['sh', '-c', 'sleep 600']));
    await first.crash();
    await until('a reader', () => processesOf(`--engine=${name}`).length === 1);
    process.kill(pid, 'SIGKILL');
    await until('no reader', () => processesOf(`--engine=${name}`).length === 0);
    const second = new RemoteEngine(options);
    t.after(() => second.crash());
    const { adopted } = await second.adopt();
    assert.deepEqual(
      adopted.map((one) => one.id),
      [id],
    );
    assert.equal((await second.exited(id)).signal, 9);
    await second.remove(id);
    await second.close({ keepContainers: false });
  });
});

function isThere(path: string): boolean {
  try {
    return readFileSync(path, 'utf8') === 'done\n';
  } catch {
    return false;
  }
}
