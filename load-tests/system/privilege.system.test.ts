import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  lchownSync,
  lstatSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { call } from './call.ts';
import { Platform, until, whyNotHere } from './platform.ts';

/** What needs no privilege has none, and others on the machine reach nothing of the platform's. */

const EXAMPLES = join(packageRoot, 'functions-examples');
const UNPRIVILEGED = ['redis', 'scheduler', 'gateway'];
/** Of nobody on this machine. */
const STRANGER = 61_234;

let platform: Platform;

suite('privilege', { skip: whyNotHere('make', 'cc', 'setpriv') }, () => {
  before(async () => {
    platform = await new Platform().up();
    const folder = join(platform.folder, 'c-scratch');
    cpSync(join(EXAMPLES, 'c-scratch'), folder, { recursive: true });
    const made = spawnSync('make', ['-C', folder], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    await platform.well('deploy', folder, '--idle', '1s');
    await platform.well('deploy', join(EXAMPLES, 'hello-node'), '--idle', '1s');
  });
  after(() => platform.end());

  test('Redis, scheduler and gateway: a user each, no group, no capability', (t) => {
    if (!hasUsers(t)) return;
    for (const name of UNPRIVILEGED) assertUnprivileged(name);
    const users = UNPRIVILEGED.map((name) => statusOf(name).Uid);
    assert.equal(new Set(users).size, UNPRIVILEGED.length);
    const table = platform.said.filter((line) => /^(redis|scheduler|gateway) +\d+ /.test(line));
    assert.equal(table.length, UNPRIVILEGED.length, platform.said.join('\n'));
    assert.doesNotMatch(platform.said.join('\n'), /warning/);
  });

  test('tokens stand neither in arguments nor in the environment', () => {
    for (const name of [...UNPRIVILEGED, 'node-agent', 'builder']) {
      for (const file of ['cmdline', 'environ']) {
        const text = readFileSync(`/proc/${platform.pidOf(name)}/${file}`, 'utf8');
        for (const secret of ['token', 'cluster-token']) {
          assert.ok(!text.includes(platform.secret(secret)), `${secret} in ${file} of ${name}`);
        }
      }
    }
  });

  test('both contracts, cold and warm', async () => {
    for (const name of ['c-scratch', 'hello-node']) await coldThenWarm(name);
  });

  test('another user reads nothing but the address, and connects to nothing', async () => {
    await call(platform.at('hello-node'));
    const all = entriesOf(platform.dataRoot);
    const shown = all.map((path) => relative(platform.dataRoot, path));
    for (const part of [/^token$/, /^redis\/.*\.aof$/, /^registry\/blobs\//, /^run\/.*\.log$/]) {
      assert.ok(
        shown.some((path) => part.test(path)),
        `${part} exists`,
      );
    }
    for (const part of [/^run\/redis\/redis\.sock$/, /^agent\/.*\/sockets\/.*\.sock$/]) {
      assert.ok(
        shown.some((path) => part.test(path)),
        `${part} exists`,
      );
    }
    const { uidBase } = platform.place;
    for (const uid of [STRANGER, uidBase, uidBase + 65_532]) {
      assert.deepEqual(reachedBy({ uid, gid: uid }, all), ['run/gateway.json'], `uid ${uid}`);
    }
  });

  test('the gateway reaches the sockets, and no file of the platform', (t) => {
    if (!hasUsers(t)) return;
    const reached = reachedBy(userOf('gateway'), entriesOf(platform.dataRoot));
    const files = reached.filter((path) => !path.endsWith('.sock'));
    assert.deepEqual(files, ['run/gateway.json']);
    assert.ok(reached.includes('run/redis/redis.sock'));
  });

  test('after kill -9 each comes back without privilege', async (t) => {
    if (!hasUsers(t)) return;
    for (const name of UNPRIVILEGED) {
      const before = platform.pidOf(name);
      process.kill(before, 'SIGKILL');
      await until(
        () => platform.said.some((line) => line.startsWith(`${name} is ready again`)),
        () => `${name}: ${platform.said.join('\n')}`,
      );
      assert.notEqual(platform.pidOf(name), before);
      assertUnprivileged(name);
    }
    await until(
      async () => (await call(platform.at('hello-node'))).status === 200,
      () => 'a call after the deaths',
    );
  });

  test('a data root on which everything ran as root works on', async (t) => {
    if (!hasUsers(t)) return;
    assert.equal(await platform.stop(), 0);
    giveToRoot(platform.dataRoot);
    await platform.up();
    for (const name of UNPRIVILEGED) assertUnprivileged(name);
    for (const name of ['c-scratch', 'hello-node']) await coldThenWarm(name);
  });
});

/** A project in a closed folder, such as one below /root, is run as root, and the platform says so. */
function hasUsers(t: TestContext): boolean {
  const why = /^warning: .* must run as root, as (.*)$/m.exec(platform.said.join('\n'))?.[1];
  if (why === undefined) return true;
  t.skip(`needs a project that other users may read: ${why}`);
  return false;
}

type Status = Record<string, string>;

/** The lines of /proc/PID/status (proc_pid_status(5)) by their names. */
function statusOf(component: string): Status {
  const text = readFileSync(`/proc/${platform.pidOf(component)}/status`, 'utf8');
  return Object.fromEntries(
    text.split('\n').map((line) => {
      const [name = '', value = ''] = line.split(':\t');
      return [name, value.trim()];
    }),
  );
}

function assertUnprivileged(component: string): void {
  const status = statusOf(component);
  for (const ids of [status.Uid, status.Gid]) {
    const distinct = [...new Set(ids?.split('\t'))];
    assert.equal(distinct.length, 1, `${component}: ${ids}`);
    assert.notEqual(distinct[0], '0', component);
  }
  assert.equal(status.Groups, '', component);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    assert.match(status[set] ?? '', /^0+$/, `${component} ${set}`);
  }
  assert.equal(status.NoNewPrivs, '1', component);
}

interface Ids {
  uid: number;
  gid: number;
}

function userOf(component: string): Ids {
  const [uid, gid] = ['Uid', 'Gid'].map((name) =>
    Number.parseInt(statusOf(component)[name] ?? '', 10),
  );
  return { uid: uid ?? 0, gid: gid ?? 0 };
}

async function coldThenWarm(name: string): Promise<void> {
  await until(
    async () => (await platform.hearth(['describe', name])).exit === 0,
    () => `${name} is known`,
  );
  await platform.untilZero(name);
  const cold = await call(platform.at(name));
  assert.equal(cold.status, 200, cold.body);
  assert.equal(cold.headers['x-cold-start'], '1');
  const warm = await call(platform.at(name));
  assert.equal(warm.status, 200, warm.body);
  assert.notEqual(warm.headers['x-cold-start'], '1');
}

/** Everything below a folder that is no folder, but what lies in mounted root file systems. */
function entriesOf(folder: string): string[] {
  const { dev } = lstatSync(folder);
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return lstatSync(path).dev === dev ? entriesOf(path) : [];
  });
}

/** Paths on its standard input, JSON; those that it could read, write or connect to on its output. */
const REACH = `
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
const opens = (path) => [O_RDONLY, O_WRONLY].some((how) => {
  try {
    closeSync(openSync(path, how | O_NONBLOCK | O_NOFOLLOW));
    return true;
  } catch {
    return false;
  }
});
const connects = (path) => new Promise((resolve) => {
  const client = connect(path);
  client.on('connect', () => resolve(true)).on('error', () => resolve(false));
});
const reached = [];
for (const path of JSON.parse(readFileSync(0, 'utf8'))) {
  if (path.endsWith('.sock') ? await connects(path) : opens(path)) reached.push(path);
}
console.log(JSON.stringify(reached.sort()));
process.exit();
`;

const NODE = [process.execPath, '--input-type=module', '-e'];

function reachedBy({ uid, gid }: Ids, paths: readonly string[]): string[] {
  const user = ['--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups'];
  const ran = spawnSync('setpriv', [...user, '--', ...NODE, REACH], {
    input: JSON.stringify(paths),
    encoding: 'utf8',
  });
  assert.equal(ran.status, 0, ran.stderr);
  return (JSON.parse(ran.stdout) as string[]).map((path) => relative(platform.dataRoot, path));
}

/** As it was before components had users of their own, with nothing open to others. */
function giveToRoot(dataRoot: string): void {
  const redis = join(dataRoot, 'redis');
  for (const entry of readdirSync(redis, { recursive: true, encoding: 'utf8' })) {
    lchownSync(join(redis, entry), 0, 0);
  }
  for (const folder of [redis, join(dataRoot, 'run/redis'), dataRoot]) {
    chownSync(folder, 0, 0);
    chmodSync(folder, 0o700);
  }
}
