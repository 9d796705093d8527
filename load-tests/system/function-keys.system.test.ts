import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { call } from './call.ts';
import { makeFolder } from './folder.ts';
import { Platform, type Ran, whyNotHere } from './platform.ts';

/** What a function.yaml asks of the containers of its function, from the file to the answer. */

const NETNS = `hs-keys-${process.pid}`;
const LINK = `hsk${process.pid % 100_000}`;
const SERVER = `require('node:http').createServer((_, r) => r.end('private')).listen(8080, () => console.log('up'))`;

let platform: Platform;
/** A folder of this machine that functions may mount. */
let shared: string;
let server: ChildProcess | undefined;
/** Address of a machine on a private network. */
const address = `10.254.${process.pid % 250}.2`;

suite('keys of containers in function.yaml', { skip: whyNotHere() }, () => {
  before(async () => {
    shared = mkdtempSync('/var/tmp/hs-shared-');
    execFileSync('chmod', ['755', shared]);
    writeFileSync(join(shared, 'word'), 'shared');
    platform = await new Platform({ HEARTH_BIND_PATHS: shared }).up();
  });
  after(async () => {
    removePrivateNetwork();
    await platform.end();
    rmSync(shared, { recursive: true, force: true });
  });

  test('`runtime: runc` answers from a container of runc', async (t) => {
    if (!existsSync('/usr/sbin/runc')) return t.skip('needs runc');
    await deployed('by-runc', 'runtime: runc', `export default () => 'pid ' + process.pid;`);
    assert.equal((await call(platform.at('by-runc'))).body, 'pid 1');
    const { function: record } = await platform.describe('by-runc');
    assert.deepEqual([record.spec.runtime, record.spec.ociRuntime], ['node', 'runc']);
    const state = execFileSync('find', [
      platform.dataRoot,
      '-path',
      '*/oci/runc/*',
      '-name',
      'state.json',
    ]);
    assert.match(state.toString(), /\/oci\/runc\/i-/);
  });

  test('a volume keeps a file over instances; folders of the node and memory are mounted', async () => {
    const yaml = `
volumes: ['kept:/data', '${shared}:/shared:ro']
tmpfs: { /scratch: 1Mi }
shm: 8Mi
disk: 16Mi
openFiles: 300
scale: { idle: 500ms }`;
    const code = `
import { readFileSync, writeFileSync, existsSync, statfsSync } from 'node:fs';
export default () => {
  const count = existsSync('/data/n') ? Number(readFileSync('/data/n', 'utf8')) + 1 : 1;
  writeFileSync('/data/n', String(count));
  let readOnly = false;
  try { writeFileSync('/shared/x', 'x'); } catch { readOnly = true; }
  const size = (path) => { const { blocks, bsize } = statfsSync(path); return blocks * bsize; };
  const files = /open files\\s+(\\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1];
  const word = readFileSync('/shared/word', 'utf8');
  return JSON.stringify({ count, word, readOnly, shm: size('/dev/shm'), scratch: size('/scratch'), files });
};`;
    await deployed('keeps', yaml, code);
    const first = JSON.parse((await call(platform.at('keeps'))).body);
    const sizes = { shm: 8 * 1024 ** 2, scratch: 1024 ** 2, files: '300' };
    assert.deepEqual(first, { count: 1, word: 'shared', readOnly: true, ...sizes });
    const told = await platform.well('describe', 'keeps');
    assert.match(told, /^limits +disk 16 MiB, shm 8 MiB, open files 300$/m);
    await platform.untilZero('keeps');
    assert.equal(JSON.parse((await call(platform.at('keeps'))).body).count, 2);
  });

  test('`egress` reaches a private network that is closed to others', async () => {
    await makePrivateNetwork();
    const code = `
export default async () => {
  try { return await (await fetch('http://${address}:8080', { signal: AbortSignal.timeout(1500) })).text(); }
  catch { return 'unreachable'; }
};`;
    await deployed('open', `egress: ['${address}/32:8080']`, code);
    await deployed('closed', '', code);
    assert.equal((await call(platform.at('open'))).body, 'private');
    assert.equal((await call(platform.at('closed'))).body, 'unreachable');
  });

  test('on a named network instances find each other by the function’s name and its aliases', async () => {
    await platform.well('network', 'create', 'shop');
    const code = `
import { lookup } from 'node:dns/promises';
export default async () => JSON.stringify(
  await Promise.all(['front', 'named'].map((name) => lookup(name).then((found) => found.address))));`;
    await deployed('named', 'network: shop\naliases: [front]\nscale: { idle: 500ms }', code);
    const [front, named] = JSON.parse((await call(platform.at('named'))).body);
    assert.match(front, /^10\.|^172\.|^192\.168\./);
    assert.equal(front, named);
    await platform.untilZero('named');
    await platform.well('network', 'rm', 'shop');
  });

  for (const [title, yaml, exit, message, hint] of [
    [
      'a runtime that no node has',
      'ociRuntime: rucn',
      2,
      /"rucn" is not configured on this node; configured: /,
      /did you mean "runc"|setting `runtimes`/,
    ],
    [
      'a folder that is not allowed',
      "volumes: ['/etc:/host']",
      2,
      /bind path "\/etc" is not allowed on this node; allowed: \/var\/tmp\/hs-shared-/,
      /bindPaths/,
    ],
    ['a network that is not there', 'network: nowhere', 3, /network "nowhere"/, /./],
  ] as const) {
    test(`${title} is the deploy’s error`, async () => {
      const ran = await deploy('refused', yaml, `export default () => 'x';`);
      assert.equal(ran.exit, exit, ran.err);
      assert.match(ran.err, new RegExp(`error: .*${message.source}`));
      assert.match(ran.err, new RegExp(`hint: .*(${hint.source})`));
      assert.ok(!ran.err.includes(platform.dataRoot), ran.err);
    });
  }

  test('faults of the file are told with their lines before anything is sent', async () => {
    const yaml = "runtime: rnuc\nvolumes:\n  - 'data'\negress: ['all']";
    const ran = await deploy('faulty', yaml, '');
    assert.equal(ran.exit, 2);
    assert.match(ran.err, /function.yaml:1: runtime must be .*did you mean runc/);
    assert.match(ran.err, /function.yaml:3: volumes\[0\] must be VOLUME:TARGET/);
    assert.match(ran.err, /function.yaml:4: egress\[0\] must be an IPv4 network/);
  });
});

function deploy(name: string, yaml: string, code: string): Promise<Ran> {
  const folder = join(platform.folder, name);
  makeFolder(folder, { 'index.mjs': code, 'function.yaml': `${yaml}\n` });
  return platform.hearth(['deploy', folder]);
}

async function deployed(name: string, yaml: string, code: string): Promise<void> {
  const ran = await deploy(name, yaml, code);
  assert.equal(ran.exit, 0, ran.err);
}

/** A machine with a server on a private network, to which this one is the router. */
async function makePrivateNetwork(): Promise<void> {
  const ip = (...args: string[]) => execFileSync('ip', args);
  const gateway = address.replace(/2$/, '1');
  ip('netns', 'add', NETNS);
  ip('link', 'add', LINK, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', NETNS);
  ip('address', 'add', `${gateway}/30`, 'dev', LINK);
  ip('link', 'set', LINK, 'up');
  ip('-n', NETNS, 'address', 'add', `${address}/30`, 'dev', 'eth0');
  ip('-n', NETNS, 'link', 'set', 'eth0', 'up');
  ip('-n', NETNS, 'route', 'add', 'default', 'via', gateway);
  const args = ['netns', 'exec', NETNS, process.execPath, '-e', SERVER];
  server = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  if (server.stdout !== null) await once(server.stdout, 'data');
}

function removePrivateNetwork(): void {
  server?.kill('SIGKILL');
  for (const args of [
    ['link', 'delete', LINK],
    ['netns', 'delete', NETNS],
  ]) {
    try {
      execFileSync('ip', args, { stdio: 'ignore' });
    } catch {
      // It was not made
    }
  }
}
