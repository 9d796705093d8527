import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { ErrorBody } from '../../lib/errors.ts';
import type { FunctionSummary } from '../../lib/management-api.ts';
import { packageRoot } from '../../lib/paths.ts';
import { BAD_DEPLOYS, type BadDeploy } from './bad-deploys.ts';
import { type Answer, call } from './call.ts';
import { answering, makeFolder } from './folder.ts';
import { containersOf } from './ledger.ts';
import { Platform, type Ran, until, whyNotHere } from './platform.ts';

/** What users do wrong, and what a whole platform tells them. */

const SECRETIVE = `
export default async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === '/throw') throw new Error('secret detail');
  if (pathname === '/slow') await new Promise(() => setTimeout(() => {}, 60_000));
  if (pathname === '/wait') await new Promise((done) => setTimeout(done, 1_500));
  if (pathname === '/exit') process.exit(3);
  if (pathname === '/abort') process.abort();
  if (pathname === '/eat') { const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1)); }
  return 'ok';
};
`;

let platform: Platform;

suite('bad inputs', { skip: whyNotHere() }, () => {
  before(async () => {
    platform = await new Platform().up();
    const good = makeFolder(join(platform.folder, 'good'), {
      'index.mjs': SECRETIVE,
      'function.yaml': 'timeout: 2s\nmemory: 96Mi\nscale:\n  max: 1\n',
    });
    await platform.well('deploy', good);
  });
  after(() => platform.end());

  for (const [name, row] of Object.entries(BAD_DEPLOYS)) {
    test(`deploy: ${name}`, () => checkDeploy(name, row));
  }

  test('a bad deploy leaves the working revision as it is', async () => {
    const folder = join(platform.folder, 'twice');
    await platform.well('deploy', makeFolder(folder, { 'index.mjs': answering('first') }));
    makeFolder(folder, { 'index.mjs': 'export default (\n' });
    const ran = await platform.hearth(['deploy', folder]);
    assert.equal(ran.exit, 7, ran.err);
    assertTold(ran, { error: /index\.mjs/ });
    assert.equal((await call(platform.at('twice'))).body, 'first');
    await platform.well('remove', 'twice');
  });

  test('two deploys at once: the second is told, --force takes its place', async () => {
    const folder = makeFolder(join(platform.folder, 'busy'), {
      Dockerfile: 'FROM hearth/node:24\nRUN sleep 600\n',
    });
    await platform.well('deploy', folder, '--no-wait');
    const early = await call(platform.at('busy'));
    assertError(early, 503, 'Deploying', /"busy"/);
    assert.ok(Number(early.headers['retry-after']) >= 1);
    const second = await platform.hearth(['deploy', folder]);
    assert.equal(second.exit, 5, second.err);
    assertTold(second, { error: /"?busy"?.*started/, hint: /--force/ });
    makeFolder(folder, { Dockerfile: 'FROM hearth/node:24\nCMD ["/none"]\n' });
    assert.equal((await platform.hearth(['deploy', folder, '--force'])).exit, 7);
  });

  test('a function whose deploy failed says why; one that is gone is gone', async () => {
    assertError(await call(platform.at('busy')), 503, 'FunctionUnhealthy', /\/none/);
    assert.match(await platform.well('describe', 'busy'), /last error +EntrypointNotFound/);
    await platform.well('remove', 'busy');
    assertError(await call(platform.at('busy')), 404, 'FunctionNotFound', /"busy"/);
  });

  test('remove during a deploy ends it', async () => {
    const folder = makeFolder(join(platform.folder, 'late'), {
      Dockerfile: 'FROM hearth/node:24\nRUN sleep 600\n',
    });
    const deploying = platform.hearth(['deploy', folder]);
    await until(
      async () => (await platform.list()).some(({ name }) => name === 'late'),
      () => 'the deploy',
    );
    await platform.well('remove', 'late');
    const ran = await deploying;
    assert.notEqual(ran.exit, 0);
    assertTold(ran, { error: /cancelled|does not exist|removed/ });
    await untilOnlyGoodRuns();
  });

  test('a handler that throws answers itself', async () => {
    const { status, headers, body } = await call(platform.at('good', '/throw'));
    assert.deepEqual([status, headers['x-hearth-error-type']], [500, undefined]);
    assert.doesNotMatch(body, /secret detail/);
    assert.match(await platform.well('logs', 'good'), new RegExp(String(headers['x-call-id'])));
    const ran = await platform.hearth(['invoke', 'good', '--path', '/throw']);
    assert.deepEqual([ran.exit, ran.err], [7, 'the function answered 500\n']);
  });

  const failures: [string, number, string, RegExp][] = [
    ['/slow', 504, 'RequestTimeout', /within 2 ?s/],
    ['/exit', 502, 'InstanceCrashed', /exit.* 3/],
    ['/abort', 502, 'InstanceCrashed', /signal SIG/],
    ['/eat', 502, 'InstanceOOM', /96/],
  ];
  for (const [path, status, code, message] of failures) {
    test(`invoke ${path}: ${code}, and the next call is answered`, async () => {
      assertError(await call(platform.at('good', path)), status, code, message);
      assert.equal((await call(platform.at('good'))).body, 'ok');
      const ran = await platform.hearth(['invoke', 'good', '--path', path]);
      assert.equal(ran.exit, 7, ran.err);
      assertTold(ran, { error: message });
      assert.equal((await call(platform.at('good'))).body, 'ok');
    });
  }

  test('a body above the limit is refused before it is read', async () => {
    const sent = request(platform.at('good'), {
      method: 'POST',
      agent: false,
      headers: { 'content-length': String(1024 ** 3 + 1) },
    });
    sent.on('error', () => undefined);
    sent.flushHeaders();
    const [answer] = await once(sent, 'response');
    assert.equal(answer.statusCode, 413);
    assert.equal(answer.headers['x-hearth-error-type'], 'PayloadTooLarge');
    sent.destroy();
  });

  const names = ['a%2fb', '..%2fx', 'A', '%C3%BC', '-a', 'a'.repeat(64), '__proto__', 'a%0a'];
  for (const name of [...names, 'constructor', 'health', 'metrics', 'api']) {
    test(`name ${name} is no function`, async () => {
      const headers = { authorization: `Bearer ${platform.secret('token')}` };
      const url = `${platform.url}/v1/functions/${name}`;
      assertError(await call(url, { headers }), 400, 'NameInvalid', /name/);
      assertError(await call(url, { headers, method: 'DELETE' }), 400, 'NameInvalid', /name/);
      const invoked = await call(platform.at(name));
      assert.ok(invoked.status === 400 || invoked.status === 404, `${invoked.status}`);
      assert.ok(invoked.headers['x-hearth-error-type'] !== undefined);
      const ran = await platform.hearth(['describe', decodeURIComponent(name)]);
      assert.equal(ran.exit, 2, ran.err);
    });
  }

  test('tokens and addresses', async () => {
    for (const headers of [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: 'Basic eDp5' },
    ]) {
      const answer = await call(`${platform.url}/v1/functions`, { headers });
      assertError(answer, 401, 'Unauthorized', /token/);
    }
    const wrong = await platform.hearth(['list', '--token', 'wrong']);
    assert.equal(wrong.exit, 4);
    assertTold(wrong, { error: /token is not valid/ });
    const down = await platform.hearth(['list', '--server', 'http://127.0.0.1:9']);
    assert.equal(down.exit, 8);
    assertTold(down, { error: /cannot reach http:\/\/127\.0\.0\.1:9 \(connection refused\)/ });
    const tls = await platform.hearth(['list', '--server', platform.url.replace('http', 'https')]);
    assert.equal(tls.exit, 8);
    assertTold(tls, { error: /does not speak TLS/ });
  });

  test('a program that ignores SIGTERM is killed after its grace', async () => {
    const folder = makeFolder(join(platform.folder, 'deaf'), {
      'index.mjs':
        "process.removeAllListeners('SIGTERM'); process.on('SIGTERM', () => {});\nexport default () => 'ok';\n",
      'function.yaml': 'grace: 1s\n',
    });
    await platform.well('deploy', folder);
    await platform.well('remove', 'deaf');
    await untilOnlyGoodRuns();
  });

  test('remove lets a call that runs finish, and takes no new one', async () => {
    const running = call(platform.at('good', '/wait'));
    await until(
      async () => (await platform.describe('good')).demand.some((seen) => seen.running > 0),
      () => 'the call to run',
    );
    await platform.well('remove', 'good');
    assertError(await call(platform.at('good')), 404, 'FunctionNotFound', /"good"/);
    const { status, body } = await running;
    assert.deepEqual([status, body], [200, 'ok']);
    await until(
      () => containersOf(platform.dataRoot).length === 0,
      () => `containers: ${containersOf(platform.dataRoot).join(' ')}`,
    );
    assert.deepEqual(await platform.list(), []);
  });
});

async function checkDeploy(name: string, row: BadDeploy): Promise<void> {
  const folder = join(platform.folder, 'bad', name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-'));
  for (const [file, content] of Object.entries(row.files)) {
    makeFolder(folder, { [file]: typeof content === 'string' ? content : content.text });
    if (typeof content !== 'string') chmodSync(join(folder, file), content.mode);
  }
  makeFolder(folder, {});
  const before = await platform.list();
  const ran = await platform.hearth(['deploy', folder, '--name', 'bad', ...(row.flags ?? [])]);
  assert.equal(ran.out, '');
  assert.equal(ran.exit, row.exit, ran.err);
  assertTold(ran, row);
  const known = before.map((one) => one.name);
  const added = async (): Promise<FunctionSummary[]> =>
    (await platform.list()).filter((one) => !known.includes(one.name));
  // The builder tells of its failure itself, a moment before the function's record says so.
  await until(
    async () => (await added()).every(({ state }) => state !== 'deploying'),
    () => 'the end of the deploy',
  );
  const wanted = row.isListed === true ? [['bad', 'failed', 0]] : [];
  assert.deepEqual(
    (await added()).map((one) => [one.name, one.state, one.instances]),
    wanted,
  );
  if (row.isListed === true) await platform.well('remove', 'bad');
  await untilOnlyGoodRuns();
}

/** `error:` and `hint:` after whatever the deploy said, the shown lines between them indented. */
function assertTold(ran: Ran, told: Pick<BadDeploy, 'error' | 'hint' | 'shown'>): void {
  const { err } = ran;
  const lines = err.trimEnd().split('\n');
  const from = lines.findLastIndex((line) => line.startsWith('error: '));
  const part = lines.slice(from);
  const own = part.filter((line) => !line.startsWith('  '));
  assert.match(own[0] ?? '', told.error, err);
  assert.ok(own.length <= 3, err);
  if (told.hint !== undefined) assert.match(own.at(-1) ?? '', told.hint, err);
  if (told.shown !== undefined) assert.match(part.slice(1).join('\n'), told.shown, err);
  assert.doesNotMatch(own.join('\n'), /^\s+at |node:internal|\.js:\d+/m);
  assert.ok(!err.includes(platform.dataRoot) && !err.includes(`${packageRoot}/`), err);
}

function assertError(answer: Answer, status: number, code: string, message: RegExp): void {
  const { error } = JSON.parse(answer.body) as { error: ErrorBody };
  assert.deepEqual([answer.status, error.code], [status, code], answer.body);
  assert.match(error.message, message);
  assert.doesNotMatch(answer.body, /\n\s+at |node:internal/);
  assert.ok(!answer.body.includes(platform.dataRoot) && !answer.body.includes(`${packageRoot}/`));
}

/** No container but those of the function `good`. */
async function untilOnlyGoodRuns(): Promise<void> {
  const { instances } = await platform.describe('good');
  const known = instances.map(({ id }) => id);
  await until(
    () => containersOf(platform.dataRoot).every((name) => known.includes(name)),
    () => `containers: ${containersOf(platform.dataRoot).join(' ')}`,
  );
}
