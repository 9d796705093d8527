import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import type { ContainerInfo } from '../../lib/container-api.ts';
import { packageRoot } from '../../lib/paths.ts';
import { type FakeGateway, sendError, sendJson, startFakeGateway } from '../fake-gateway.ts';
import { runHearth } from '../run-hearth.ts';

/** Commands for containers against a gateway that answers what the test says. */

function has(fake: FakeGateway, route: string, answer: (to: ServerResponse) => void): void {
  fake.answers.set(route, (_request, to) => answer(to));
}

const ended = (name: string, more: Partial<ContainerInfo> = {}): object => ({
  id: `c-${name}`,
  name,
  node: 'n1',
  state: 'exited',
  exitCode: 3,
  ...more,
});

test('a function’s name as image is the image that it serves, and its port is told', async (t) => {
  const fake = await startFakeGateway(t);
  const revision = (id: string, digest: string): object => ({
    id,
    image: { repository: 'functions/web', digest },
    spec: { port: 9000 },
  });
  has(fake, 'GET /v1/functions/web', (to) =>
    sendJson(to, {
      function: { name: 'web', state: 'ready', traffic: [{ revisionId: 'web-1', percent: 100 }] },
      revisions: [revision('web-2', 'sha256:2'), revision('web-1', 'sha256:1')],
    }),
  );
  let asked: unknown;
  fake.answers.set('POST /v1/containers', (request, to) => {
    void buffer(request).then((body) => {
      asked = JSON.parse(String(body));
      sendJson(to, ended('one'));
    });
  });
  const ran = await runHearth(['run', '-d', '-e', 'A=1', 'web', 'ls'], { url: fake.url });
  assert.equal(ran.exit, 0, ran.err);
  assert.deepEqual(asked, {
    image: 'functions/web@sha256:1',
    command: ['ls'],
    env: { PORT: '9000', A: '1' },
    labels: {},
  });
});

test('logs of a name that no function has are those of a container', async (t) => {
  const fake = await startFakeGateway(t);
  const unknown = (to: ServerResponse): void => sendError(to, 'FunctionNotFound', 'no web');
  has(fake, 'GET /v1/functions/web/logs', unknown);
  has(fake, 'GET /v1/containers/web', (to) => sendJson(to, ended('web')));
  const line = { timeMs: 0, functionName: '', instanceId: 'c-web', stream: 'stdout', text: 'hi' };
  has(fake, 'GET /v1/containers/c-web/logs', (to) => sendJson(to, line));
  assert.deepEqual(await runHearth(['logs', 'web'], { url: fake.url }), {
    exit: 0,
    out: 'hi\n',
    err: '',
  });
  has(fake, 'DELETE /v1/functions/web', unknown);
  const removed = await runHearth(['rm', 'web'], { url: fake.url });
  assert.equal(removed.exit, 3);
  assert.match(removed.err, /hint: a container is removed by: hearth container rm web/);
});

test('wait prints exit codes; prune removes what has ended and is no instance', async (t) => {
  const fake = await startFakeGateway(t);
  has(fake, 'GET /v1/containers/web/wait', (to) => sendJson(to, ended('web')));
  assert.equal((await runHearth(['container', 'wait', 'web'], { url: fake.url })).out, '3\n');
  has(fake, 'GET /v1/containers', (to) =>
    sendJson(to, {
      containers: [
        ended('web'),
        ended('i', { functionName: 'hello' }),
        ended('db', { state: 'running' }),
      ],
    }),
  );
  has(fake, 'DELETE /v1/containers/c-web', (to) => sendJson(to, {}));
  const pruned = await runHearth(['container', 'prune'], { url: fake.url });
  assert.deepEqual(pruned, { exit: 0, out: 'web\n', err: '' });
});

test('the options of a program in a container are never Node’s', async () => {
  const command = join(packageRoot, 'cli/hearth.mjs');
  const args = ['--server', 'http://127.0.0.1:1', 'exec', 'web', 'tool', '--env-file', 'nosuch'];
  const { stderr, status } = spawnSync(command, args, { encoding: 'utf8' });
  assert.match(stderr, /^error: cannot reach|^error: hearth is not compiled/);
  assert.notEqual(status, 9);
});

test('a docker word is told what serves in its place', async () => {
  const ran = await runHearth(['build', '.'], {});
  assert.deepEqual(ran, {
    exit: 2,
    out: '',
    err: 'error: unknown command "build"\nhint: hearth deploy FOLDER builds its Dockerfile, pushes the image and starts it\n',
  });
});
