import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { call, probe } from './call.ts';
import { answering, makeFolder } from './folder.ts';
import { Platform, until, whyNotHere } from './platform.ts';

/** Every command against a real platform, in the order in which a user meets them. */

const ECHO = `
export default async (request) => {
  const { pathname, search } = new URL(request.url);
  const body = await request.text();
  console.log('asked for ' + pathname);
  return { method: request.method, path: pathname + search, type: request.headers.get('content-type'), body };
};
`;

let platform: Platform;
let folder: string;

suite('cli', { skip: whyNotHere() }, () => {
  before(async () => {
    platform = await new Platform().up();
    folder = makeFolder(join(platform.folder, 'echo'), { 'index.mjs': ECHO });
  });
  after(() => platform.end());

  test('an empty platform lists nothing', async () => {
    assert.equal(await platform.well('list', '--json'), '[]\n');
    const ran = await platform.hearth(['list']);
    assert.deepEqual([ran.exit, ran.out], [0, '']);
  });

  test('deploy --print-dockerfile builds nothing', async () => {
    const out = await platform.well('deploy', folder, '--print-dockerfile');
    assert.match(out, /^FROM hearth\/node:24\n/);
    assert.deepEqual(await platform.list(), []);
  });

  test('deploy, and the same again is unchanged', async () => {
    const first = JSON.parse(await platform.well('deploy', folder, '--json'));
    const url = platform.at('echo');
    const revisionId = 'echo-00001';
    assert.deepEqual(first, { state: 'ready', name: 'echo', url, revisionId, unchanged: false });
    const second = JSON.parse(await platform.well('deploy', folder, '--json'));
    assert.deepEqual(second, { ...first, unchanged: true });
    assert.match(await platform.well('deploy', folder), /\(unchanged, echo-00001\)\n$/);
  });

  test('invoke with --data, -d @file, stdin, --path, -X, -H, -i, --json', async () => {
    const echo = async (...args: string[]): Promise<Record<string, string>> =>
      JSON.parse(await platform.well('invoke', 'echo', ...args));
    const file = join(platform.folder, 'body.txt');
    writeFileSync(file, 'from a file');
    assert.deepEqual(await echo('--path', '/users?limit=1'), {
      ...{ method: 'GET', path: '/users?limit=1', type: null, body: '' },
    });
    const sent = await echo('--data', '{"n":1}');
    assert.deepEqual([sent.method, sent.type, sent.body], ['POST', 'application/json', '{"n":1}']);
    assert.equal((await echo('-d', `@${file}`)).body, 'from a file');
    assert.equal((await echo('-X', 'put', '-d', 'x', '-H', 'Content-Type: a/b')).type, 'a/b');
    const piped = await platform.hearth(['invoke', 'echo', '-d', '-'], { input: 'piped' });
    assert.equal(JSON.parse(piped.out).body, 'piped');
    assert.match(await platform.well('invoke', 'echo', '-i'), /^HTTP\/1\.1 200 OK\n.*\n\n\{/s);
    const whole = JSON.parse(await platform.well('invoke', 'echo', '--json'));
    assert.equal(whole.status, 200);
    assert.equal(JSON.parse(whole.body).method, 'GET');
  });

  test('list and describe', async () => {
    assert.match(await platform.well('list'), /^echo +ready +\d+ +echo-00001 +.* http:\/\//m);
    const [row] = JSON.parse(await platform.well('list', '--json'));
    assert.deepEqual([row?.name, row?.state, row?.generation], ['echo', 'ready', 1]);
    assert.match(await platform.well('describe', 'echo'), /^echo-00001 +100% +ready +sha256:/m);
    const { revisions, build } = JSON.parse(await platform.well('describe', 'echo', '--json'));
    assert.deepEqual([revisions.length, build?.state], [1, 'built']);
  });

  test('logs, then logs -f sees a new line', async () => {
    await platform.well('invoke', 'echo', '--path', '/first');
    assert.match(await platform.well('logs', 'echo'), /^i-\w+ asked for \/first$/m);
    const lines = (await platform.well('logs', 'echo', '--json')).trim().split('\n');
    assert.ok(lines.every((line) => typeof JSON.parse(line).timeMs === 'number'));

    const shown: string[] = [];
    let child: ChildProcess | undefined;
    const following = platform.hearth(['logs', 'echo', '-f', '--tail', '0'], {
      onStart: (started) => {
        child = started;
        if (started.stdout === null) return;
        createInterface({ input: started.stdout }).on('line', (line) => shown.push(line));
      },
    });
    await until(
      async () => {
        await platform.well('invoke', 'echo', '--path', '/later');
        return shown.some((line) => line.endsWith('asked for /later'));
      },
      () => `a followed line: ${shown.join('\n')}`,
    );
    child?.kill('SIGINT');
    const { exit, err } = await following;
    assert.deepEqual([exit, err], [0, ''], 'Ctrl-C is how one leaves logs -f');
  });

  test('a changed folder answers anew, and no request fails meanwhile', async () => {
    const steady = makeFolder(join(platform.folder, 'steady'), { 'index.mjs': answering('old') });
    await platform.well('deploy', steady);
    const prober = probe(platform.at('steady'), 20);
    await until(
      async () => (await call(platform.at('steady'))).body === 'old',
      () => 'old',
    );
    makeFolder(steady, { 'index.mjs': answering('new') });
    await platform.well('deploy', steady);
    assert.equal((await call(platform.at('steady'))).body, 'new');
    await until(
      async () => (await platform.describe('steady')).instances.length === 1,
      () => 'the old instance is still there',
    );
    const { calls, failures, bodies } = await prober.stop();
    assert.deepEqual(failures, [], `${failures.length} of ${calls} failed`);
    const change = bodies.indexOf('new');
    assert.ok(change > 0, 'answers from before and after the change');
    assert.equal((await platform.list()).find(({ name }) => name === 'steady')?.generation, 2);
  });

  test('deploy --no-wait returns at once, and the deploy goes on', async () => {
    makeFolder(folder, { 'index.mjs': answering('third') });
    const out = await platform.well('deploy', folder, '--no-wait', '--json');
    assert.match(JSON.parse(out).buildId, /^b-/);
    await until(
      async () => (await call(platform.at('echo'))).body === 'third',
      () => 'the new answer',
    );
  });

  test('remove; twice is exit code 3, unless --ignore-missing', async () => {
    assert.equal(await platform.well('remove', 'echo', 'steady'), 'echo removed\nsteady removed\n');
    const again = await platform.hearth(['remove', 'echo']);
    assert.equal(again.exit, 3, again.err);
    assert.match(again.err, /^error: function "echo" does not exist\n/);
    assert.equal(
      await platform.well('remove', 'echo', '--ignore-missing', '--json'),
      '{"name":"echo","removed":false}\n',
    );
    assert.deepEqual(await platform.list(), []);
    assert.equal((await platform.hearth(['invoke', 'echo'])).exit, 3);
    assert.equal((await platform.hearth(['describe', 'echo'])).exit, 3);
  });

  test('a removed function can be deployed again, at once and with another answer', async () => {
    for (const text of ['fourth', 'fifth']) {
      makeFolder(folder, { 'index.mjs': answering(text) });
      await platform.well('deploy', folder);
      assert.equal((await call(platform.at('echo'))).body, text);
      await platform.well('remove', 'echo');
    }
  });

  test('version and doctor', async () => {
    const versions = JSON.parse(await platform.well('version', '--json'));
    assert.equal(versions.server, versions.cli);
    assert.match(await platform.well('version'), /^cli +\d.*^server +\d.*^kernel +\d/ms);
    const checks = JSON.parse(await platform.well('doctor', '--json')) as { ok: string }[];
    assert.deepEqual(
      checks.filter(({ ok }) => ok === 'fail'),
      [],
    );
    assert.match(await platform.well('doctor'), /^✔ server: http:\/\/\S+ is ready$/m);
  });

  test('a reader that closes the pipe early is no failure', async () => {
    const ran = await platform.hearth(['doctor'], {
      onStart: (child) => child.stdout?.destroy(),
    });
    assert.deepEqual([ran.exit, ran.err], [0, '']);
  });

  test('a second Ctrl-C is not needed', async () => {
    const other = new Platform();
    const child = other.spawnUp();
    await until(
      () => other.said.some((line) => line.startsWith('ready in')),
      () => 'ready',
    );
    const closed = once(child, 'close');
    child.kill('SIGINT');
    assert.deepEqual(await closed, [0, null]);
    await other.end();
  });
});
