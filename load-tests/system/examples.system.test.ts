import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { call } from './call.ts';
import { Platform, whyNotHere } from './platform.ts';

/** Every folder of functions-examples, deployed and called as its README says. */

const EXAMPLES = join(packageRoot, 'functions-examples');

const CHECKS: Record<string, (t: TestContext) => Promise<void>> = {
  'hello-node': async () => hello('hello-node'),
  'hello-python': async () => hello('hello-python'),
  'npm-node': async (t) => {
    if (!isNpmReachable()) return t.skip('needs the npm registry, which is not reachable');
    const { err } = await deploy('npm-node');
    assert.match(err, /RUN npm ci/);
    const { body, status } = await call(platform.at('npm-node', '?time=2h'));
    assert.deepEqual([status, JSON.parse(body)], [200, { time: '2h', result: 7_200_000 }]);
    assert.equal((await call(platform.at('npm-node', '?time=soon'))).status, 400);
  },
  'c-scratch': async () => {
    const folder = join(platform.folder, 'c-scratch');
    cpSync(join(EXAMPLES, 'c-scratch'), folder, { recursive: true });
    const made = spawnSync('make', ['-C', folder], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    await deploy('c-scratch', folder);
    const { status, body } = await call(platform.at('c-scratch'));
    assert.equal(status, 200);
    assert.notEqual(body, '');
    const { function: record } = await platform.describe('c-scratch');
    assert.equal(record.spec.memoryBytes, 16 * 1024 ** 2);
  },
  'dockerfile-run': async () => {
    const { err } = await deploy('dockerfile-run');
    assert.match(err, /RUN mkdir -p public/);
    const page = await call(platform.at('dockerfile-run'));
    assert.match(page.body, /<h1>A page from the build<\/h1>\n<p>Made by Node v24/);
    assert.equal((await call(platform.at('dockerfile-run', '/none'))).status, 404);
  },
  'stream-node': async () => {
    await deploy('stream-node');
    await eventsArriveOneByOne();
    await bodyComesBackWhileItIsSent();
  },
};

let platform: Platform;

suite('examples', { skip: whyNotHere('make', 'cc') }, () => {
  before(async () => {
    platform = await new Platform().up();
  });
  after(() => platform.end());

  for (const [name, check] of Object.entries(CHECKS)) test(name, check);

  test('no example is left out', () => {
    const folders = readdirSync(EXAMPLES, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
    assert.deepEqual(Object.keys(CHECKS).sort(), folders.sort());
  });
});

/** Deploys through a pipe: the URL on standard output, the story on standard error. */
async function deploy(name: string, folder = join(EXAMPLES, name)): Promise<{ err: string }> {
  const ran = await platform.hearth(['deploy', folder]);
  assert.equal(ran.exit, 0, ran.err);
  assert.equal(ran.out, `${platform.at(name)}\n`);
  assert.ok(!ran.err.includes('\u001b') && !ran.err.includes('\r'), 'no terminal, no colors');
  return ran;
}

async function hello(name: string): Promise<void> {
  await deploy(name);
  const got = await call(platform.at(name, '?name=Grace'));
  assert.equal(got.status, 200);
  assert.equal(got.headers['x-hearth-error-type'], undefined);
  const answer = JSON.parse(got.body) as { message: string; callId: string };
  assert.equal(answer.message, 'Hello, Grace!');
  assert.equal(answer.callId, got.headers['x-call-id']);
  assert.match(await platform.well('invoke', name, '--data', '{"name":"Ada"}'), /Hello, Ada!/);
  const refused = await platform.hearth(['invoke', name, '--data', 'abc']);
  assert.match(refused.out + refused.err, /the body must be JSON/);
}

function open(
  path: string,
  method: string,
): { sent: ClientRequest; answer: Promise<IncomingMessage> } {
  const sent = request(platform.at('stream-node', path), { method, agent: false });
  const answer = once(sent, 'response').then(([message]) => message as IncomingMessage);
  return { sent, answer };
}

/** The second event is a minute away: the first one can only be read if it is not held back. */
async function eventsArriveOneByOne(): Promise<void> {
  const { sent, answer } = open('?count=2&everyMs=60000', 'GET');
  sent.end();
  const stream = await answer;
  assert.match(stream.headers['content-type'] ?? '', /^text\/event-stream/);
  const [first] = (await once(stream, 'data')) as [Buffer];
  assert.equal(first.toString(), 'id: 1\ndata: {"tick":1}\n\n');
  sent.destroy();
}

/** The second chunk is only sent once the first has come back. */
async function bodyComesBackWhileItIsSent(): Promise<void> {
  const { sent, answer } = open('', 'POST');
  sent.write('first ');
  const stream = await answer;
  // Listened for from here on, as it may come in the same turn as the last chunk.
  const ended = once(stream, 'end');
  const [first] = (await once(stream, 'data')) as [Buffer];
  assert.equal(first.toString(), 'FIRST ');
  sent.end('second');
  const [second] = (await once(stream, 'data')) as [Buffer];
  assert.equal(second.toString(), 'SECOND');
  await ended;
}

function isNpmReachable(): boolean {
  return spawnSync('npm', ['view', 'ms', 'version'], { timeout: 20_000 }).status === 0;
}
