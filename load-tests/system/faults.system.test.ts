import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { processesOf } from '../../lib/testing/machine.ts';
import { call, probe } from './call.ts';
import { answering, makeFolder } from './folder.ts';
import { containersOf, leftovers } from './ledger.ts';
import { Platform, until, whyNotHere } from './platform.ts';

/** What dies or is interrupted, and what a user notices of it. */

const DAEMONS = ['gateway', 'scheduler', 'node-agent', 'builder', 'redis'] as const;

let platform: Platform;

suite('one daemon killed', { skip: whyNotHere() }, () => {
  before(async () => {
    platform = await new Platform().up();
    await deploy('steady', '--min', '1');
  });
  after(() => platform.end());

  for (const name of DAEMONS) {
    test(`kill -9 of ${name}: it is started again, instances live on`, async () => {
      const instance = await readyInstance('steady');
      const pids = processesOf(`HEARTH_INSTANCE=${instance}`);
      assert.ok(pids.length > 0);
      await killAndWait(name);

      const answer = await call(platform.at('steady'));
      assert.deepEqual([answer.status, answer.body], [200, 'steady']);
      assert.deepEqual(processesOf(`HEARTH_INSTANCE=${instance}`), pids);
      await until(
        async () => (await readyInstance('steady')) === instance,
        () => `the record of ${instance}`,
      );
      await deploy('changed', '--env', `AFTER=${name}`);
      assert.equal((await call(platform.at('changed'))).body, 'changed');
    });
  }

  test('warm requests do not notice that scheduler, builder and node agent die', async () => {
    const prober = probe(platform.at('steady'), 50);
    for (const name of ['scheduler', 'builder', 'node-agent'] as const) await killAndWait(name);
    const { calls, failures } = await prober.stop();
    assert.deepEqual(failures.slice(0, 3), [], `${failures.length} of ${calls} failed`);
  });

  test('a cold start asked for while the node agent is away waits for it', async () => {
    await deploy('sleeper', '--idle', '1s');
    await platform.untilZero('sleeper');
    process.kill(platform.pidOf('node-agent'), 'SIGKILL');
    const { status, body } = await call(platform.at('sleeper'));
    assert.deepEqual([status, body], [200, 'sleeper']);
  });
});

suite('everything stopped or killed', { skip: whyNotHere() }, () => {
  before(async () => {
    platform = await new Platform().up();
    await deploy('kept', '--env', 'A=1');
  });
  after(() => platform.end());

  test('functions are still there after stop and start', async () => {
    assert.equal(await platform.stop(), 0);
    assert.deepEqual(leftovers(platform.dataRoot, platform.temporary), []);
    await platform.up();
    assert.equal((await call(platform.at('kept'))).body, 'kept');
    assert.match(await platform.well('deploy', folder('kept'), '--env', 'A=1'), /\(unchanged, /);
  });

  test('after kill -9 of hearth up its daemons end by themselves', async () => {
    await platform.stop('SIGKILL');
    await until(
      () => processesOf(platform.dataRoot).length === 0,
      () => leftovers(platform.dataRoot).join('\n'),
    );
    assert.deepEqual(leftovers(platform.dataRoot, platform.temporary), []);
    await platform.up();
    assert.equal((await call(platform.at('kept'))).body, 'kept');
  });

  test('after kill -9 of everything the next start clears up', async () => {
    const pids = DAEMONS.map((name) => platform.pidOf(name));
    process.kill(platform.pid, 'SIGKILL');
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await platform.stop();
    await platform.up();
    assert.equal((await call(platform.at('kept'))).body, 'kept');
  });

  test('Ctrl-C while a deploy runs cancels its build and leaves nothing', async () => {
    const before = containersOf(platform.dataRoot);
    const slow = makeFolder(join(platform.folder, 'slow'), {
      Dockerfile:
        'FROM hearth/node:24\nRUN ["node", "-e", "console.log(\'begun\'); setTimeout(() => {}, 600000)"]\n',
    });
    let child: ChildProcess | undefined;
    const ran = await platform.hearth(['deploy', slow], {
      onStart: (started) => {
        child = started;
        started.stderr?.on('data', (chunk: Buffer) => {
          if (/^ +begun$/m.test(chunk.toString())) child?.kill('SIGINT');
        });
      },
    });
    assert.equal(ran.exit, 130, ran.err);
    assert.match(ran.err, /^error: build b-\w+ was cancelled\n/m);
    await until(
      () => containersOf(platform.dataRoot).every((name) => before.includes(name)),
      () => `containers: ${containersOf(platform.dataRoot).join(' ')}`,
    );
    const { function: record, build } = await platform.describe('slow');
    assert.deepEqual([record.state, build?.state], ['failed', 'cancelled']);
    assert.equal((await call(platform.at('slow'))).status, 503);
    await platform.well('remove', 'slow');
  });
});

suite('Ctrl-C while a daemon is away', { skip: whyNotHere() }, () => {
  test('containers of a node agent that has just died are ended too', async () => {
    platform = await new Platform().up();
    await deploy('orphan');
    process.kill(platform.pidOf('node-agent'), 'SIGKILL');
    await until(
      () => platform.said.some((line) => line.startsWith('node-agent ended')),
      () => 'the death of the node agent',
    );
    await platform.end();
  });
});

suite('Ctrl-C while hearth up starts', { skip: whyNotHere() }, () => {
  const moments: Record<string, (starting: Platform) => boolean> = {
    'at its first word': ({ said }) => said.length > 0,
    'once Redis runs': ({ dataRoot }) => existsSync(join(dataRoot, 'run/redis.pid')),
    'once the daemons run': ({ dataRoot }) => existsSync(join(dataRoot, 'run/gateway.pid')),
    'once the node agent has its network': ({ dataRoot }) =>
      leftovers(dataRoot).some((line) => line.startsWith('link ')),
  };
  for (const [name, has] of Object.entries(moments)) {
    test(name, async () => {
      const starting = new Platform();
      const child = starting.spawnUp();
      await until(
        () => has(starting),
        () => name,
      );
      const closed = once(child, 'close');
      child.kill('SIGINT');
      const [code] = await closed;
      assert.ok(code === 130 || code === 0, `exit code ${code}`);
      await starting.end(code);
    });
  }
});

function folder(name: string): string {
  return makeFolder(join(platform.folder, name), { 'index.mjs': answering(name) });
}

async function deploy(name: string, ...flags: string[]): Promise<void> {
  await platform.well('deploy', folder(name), ...flags);
}

async function readyInstance(name: string): Promise<string> {
  const { instances } = await platform.describe(name);
  return instances.find(({ state }) => state === 'ready')?.id ?? 'none';
}

async function killAndWait(name: string): Promise<void> {
  const from = platform.said.length;
  process.kill(platform.pidOf(name), 'SIGKILL');
  await until(
    () => platform.said.slice(from).some((line) => line.startsWith(`${name} is ready again`)),
    () => platform.said.slice(from).join('\n'),
  );
}
