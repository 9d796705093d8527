import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../../lib/errors.ts';
import { writeFakeDaemons } from './fake-daemons.ts';
import { type Platform, type PlatformOptions, startPlatform } from './platform.ts';
import { USERS } from './privileges.ts';
import { identify } from './process-id.ts';
import { firstClosed, READ } from './reach.ts';
import { findCommand, pingRedis } from './redis.ts';

interface Rig {
  options: PlatformOptions;
  /** Stopped at the end of the test, whatever happens in it. */
  start(changes?: Partial<PlatformOptions>): Promise<Platform>;
  journal(): string[];
  said: string[];
}

function rig(t: TestContext): Rig {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-up-'));
  const platforms: Platform[] = [];
  t.after(async () => {
    for (const platform of platforms) await platform.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  // For daemons that are not root.
  chmodSync(folder, 0o755);
  const journal = join(folder, 'journal');
  writeFileSync(journal, '');
  chmodSync(journal, 0o666);
  writeFakeDaemons(folder, journal);
  const said: string[] = [];
  return {
    said,
    async start(changes = {}) {
      const platform = await startPlatform({ ...this.options, ...changes });
      platforms.push(platform);
      return platform;
    },
    journal: () => readFileSync(journal, 'utf8').split('\n').filter(Boolean),
    options: {
      dataRoot: join(folder, 'data'),
      host: '127.0.0.1',
      port: 0,
      subnet: '10.62.0.0/16',
      uidBase: 0x2000_0000,
      programs: folder,
      say: (line) => said.push(line),
    },
  };
}

function needsRedis(t: TestContext): boolean {
  if (findCommand('redis-server') !== undefined) return true;
  t.skip('needs redis-server');
  return false;
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await holds()) return;
    await sleep(50);
  }
  assert.fail(`never happened: ${what}`);
}

test('startPlatform() starts all, writes the address, stops in reverse order, Redis last', async (t) => {
  if (!needsRedis(t)) return;
  const made = rig(t);
  const { options, journal } = made;
  const platform = await made.start();
  const names = platform.status().map((component) => component.name);
  assert.deepEqual(names, ['redis', 'builder', 'node-agent', 'scheduler', 'gateway']);
  for (const { pid, residentBytes } of platform.status()) {
    assert.ok(identify(pid) !== undefined);
    assert.ok((residentBytes ?? 0) > 0);
  }
  const file = join(options.dataRoot, 'run/gateway.json');
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), {
    url: platform.url,
    pid: process.pid,
  });
  assert.equal(await (await fetch(platform.url)).text(), 'ok');
  const socket = join(options.dataRoot, 'run/redis/redis.sock');
  assert.equal(await pingRedis(socket), '+PONG');

  await platform.stop();
  const stops = journal().filter((line) => line.startsWith('stop'));
  assert.deepEqual(stops, ['stop gateway', 'stop scheduler', 'stop node-agent', 'stop builder']);
  for (const { pid } of platform.status()) assert.equal(identify(pid), undefined);
  assert.equal(await pingRedis(socket), '');
  assert.throws(() => readFileSync(file), { code: 'ENOENT' });
});

test('startPlatform() runs what needs no privilege without, and says it where that cannot be', async (t) => {
  if (!needsRedis(t)) return;
  if (process.getuid?.() !== 0) return t.skip('needs root');
  const made = rig(t);
  const { options, said } = made;
  const rooted = (platform: Platform): string[] =>
    platform.status().flatMap(({ name, uid }) => (uid === 0 ? [name] : []));
  const closedHere = firstClosed([{ path: import.meta.filename, bits: READ }], USERS.gateway);
  if (closedHere !== undefined) {
    return t.skip(`needs a project that other users may read: ${closedHere}`);
  }
  const platform = await made.start();
  assert.deepEqual(rooted(platform), ['builder', 'node-agent']);
  assert.deepEqual(said, [`starting in ${options.dataRoot}`]);
  await platform.stop();

  const inside = join(options.programs, 'inside');
  mkdirSync(inside, { mode: 0o700 });
  const closed = await made.start({ dataRoot: join(inside, 'data') });
  assert.equal(rooted(closed).length, 5);
  const why = `${inside} (mode 700) is closed to other users`;
  assert.equal(said[1], `warning: redis, scheduler, gateway must run as root, as ${why}`);
});

test('startPlatform() refuses a data root that another platform uses', async (t) => {
  if (!needsRedis(t)) return;
  const made = rig(t);
  await made.start();
  const { options } = made;
  await assert.rejects(startPlatform(options), (error: HearthError) => {
    assert.equal(error.code, 'Conflict');
    assert.match(error.message, /already runs on .*\(process \d+\)/);
    return true;
  });
});

test('startPlatform() names a port that is in use, or takes another when it may', async (t) => {
  if (!needsRedis(t)) return;
  const made = rig(t);
  const { options } = made;
  const server = createServer();
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await assert.rejects(startPlatform({ ...options, port }), {
    code: 'Conflict',
    message: `port ${port} of 127.0.0.1 is in use`,
  });
  const platform = await made.start({ port, anyPort: true });
  assert.notEqual(platform.url, `http://127.0.0.1:${port}`);
});

test('startPlatform() stops everything when a daemon fails, and shows the end of its log', async (t) => {
  if (!needsRedis(t)) return;
  const { options, journal } = rig(t);
  process.env.FAKE_FAILS = 'scheduler';
  t.after(() => delete process.env.FAKE_FAILS);
  await assert.rejects(startPlatform(options), (error: HearthError) => {
    assert.equal(error.message, 'scheduler did not start (exit code 1)');
    assert.deepEqual(error.details?.logTail, ['fatal failed: no luck']);
    return true;
  });
  for (const line of journal().filter((entry) => entry.startsWith('start'))) {
    assert.equal(identify(Number(line.split(' ')[2])), undefined);
  }
});

test('startPlatform() takes a Redis that runs already, and never shows its password', async (t) => {
  const made = rig(t);
  const platform = await made.start({ redisUrl: 'redis://user:secret@127.0.0.1:1/0' });
  assert.ok(!platform.status().some(({ name }) => name === 'redis'));
  assert.ok(made.said.includes('using Redis at redis://127.0.0.1:1/0'));
});

test('a daemon that dies is started again, and that is said', async (t) => {
  if (!needsRedis(t)) return;
  const made = rig(t);
  const { said } = made;
  const platform = await made.start();
  const before = platform.status().find(({ name }) => name === 'gateway');
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until('ready again', () => said.some((line) => line.startsWith('gateway is ready again')));
  assert.ok(said.includes('gateway ended (signal SIGKILL); starting it again in 200ms'));
  const after = platform.status().find(({ name }) => name === 'gateway');
  assert.equal(after?.restarts, 1);
  assert.notEqual(after?.pid, before?.pid);
  assert.equal(await (await fetch(platform.url)).text(), 'ok');
});

test('after kill -9 of the supervisor nothing is left, and the next start works', async (t) => {
  if (!needsRedis(t)) return;
  const made = rig(t);
  const { options, journal } = made;
  const { say: _, ...plain } = options;
  const script = `
    import { startPlatform } from ${JSON.stringify(join(import.meta.dirname, 'platform.js'))};
    const platform = await startPlatform({ ...${JSON.stringify(plain)}, say() {} });
    console.log(JSON.stringify(platform.status().map(({ pid }) => pid)));
  `;
  const supervisor = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => supervisor.kill('SIGKILL'));
  const [chunk] = (await once(supervisor.stdout, 'data')) as [Buffer];
  const pids = JSON.parse(chunk.toString()) as number[];
  assert.equal(pids.length, 5);
  supervisor.kill('SIGKILL');
  await until('all gone', () => pids.every((pid) => identify(pid) === undefined));
  assert.equal(journal().filter((line) => line.startsWith('stop')).length, 4);

  await made.start();
});

test('a start that is given up stops what runs by then', async (t) => {
  if (!needsRedis(t)) return;
  const { options, journal } = rig(t);
  process.env.FAKE_HANGS = 'gateway';
  t.after(() => delete process.env.FAKE_HANGS);
  const giveUp = new AbortController();
  const starting = startPlatform({ ...options, signal: giveUp.signal });
  await until('a daemon runs', () => journal().some((line) => line.startsWith('start')));
  giveUp.abort(new HearthError('Interrupted', 'interrupted'));
  await assert.rejects(starting);
  for (const line of journal().filter((entry) => entry.startsWith('start'))) {
    assert.equal(identify(Number(line.split(' ')[2])), undefined);
  }
});
