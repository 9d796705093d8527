import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { LogLine } from '../lib/log-line.ts';
import type { DeployRequest, FunctionSummary } from '../lib/management-api.ts';
import { VERSION } from '../lib/version.ts';
import { sendJson, startFakeGateway, TOKEN } from './fake-gateway.ts';
import { runHearth } from './run-hearth.ts';

function helloFolder(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'hearth-cli-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'hello'));
  writeFileSync(join(root, 'hello/index.js'), 'export default () => 1;');
  return root;
}

test('deploy packs, uploads, deploys, follows and prints the URL alone on stdout', async (t) => {
  const fake = await startFakeGateway(t);
  const args = [
    'deploy',
    'hello',
    '--env',
    'A=1',
    '--env',
    'B',
    '--memory',
    '64Mi',
    '--idle',
    '5s',
  ];
  const ran = await runHearth(args, {
    cwd: helloFolder(t),
    url: fake.url,
    env: { B: 'from here' },
  });
  assert.equal(ran.exit, 0, ran.err);
  assert.equal(ran.out, 'http://127.0.0.1:1/function/hello\n');
  assert.equal(ran.err, '✔ answers 5ms\n');
  assert.deepEqual(fake.requests, [
    'GET /v1/functions/hello',
    'POST /v1/uploads',
    'PUT /v1/functions/hello',
    'GET /v1/builds/b-1/events',
  ]);
  const { spec, contextDigest, force } = fake.deploys[0] as DeployRequest;
  assert.match(contextDigest, /^sha256:/);
  assert.equal(force, undefined);
  assert.equal(spec.runtime, 'node');
  assert.deepEqual(spec.env, { A: '1', B: 'from here' });
  assert.equal(spec.memoryBytes, 64 * 1024 * 1024);
  assert.equal(spec.scale.idleMs, 5000);
});

test('deploy --json prints one object, --no-wait does not follow, --force is sent', async (t) => {
  const fake = await startFakeGateway(t);
  const cwd = helloFolder(t);
  const first = await runHearth(['deploy', 'hello', '--json'], { cwd, url: fake.url });
  assert.equal(JSON.parse(first.out).state, 'ready');
  const args = ['deploy', './hello/', '--json', '--no-wait', '--force'];
  const second = await runHearth(args, { cwd, url: fake.url });
  assert.deepEqual(JSON.parse(second.out), { state: 'queued', name: 'hello', buildId: 'b-1' });
  assert.equal((fake.deploys[1] as DeployRequest).force, true);
});

test('deploy --print-dockerfile needs no server', async (t) => {
  const ran = await runHearth(['deploy', 'hello', '--print-dockerfile'], { cwd: helloFolder(t) });
  assert.equal(ran.exit, 0, ran.err);
  assert.match(ran.out, /^FROM hearth\/node:24\n/);
});

test('deploy follows on after a broken connection, each event once', async (t) => {
  const fake = await startFakeGateway(t);
  const path = '/v1/builds/b-1/events';
  const seen: string[] = [];
  fake.answers.set(`GET ${path}`, (request, answer) => {
    seen.push(request.url ?? '');
    if (seen.length > 1) fake.answers.delete(`GET ${path}`);
    answer.write('{"id":"7-0","timeMs":1,"type":"warning","text":"once"}\n', () =>
      answer.destroy(),
    );
  });
  const ran = await runHearth(['deploy', 'hello'], { cwd: helloFolder(t), url: fake.url });
  assert.equal(ran.exit, 0, ran.err);
  assert.deepEqual(seen, [`${path}?after=0`, `${path}?after=7-0`]);
});

test('Ctrl-C in a deploy cancels the build on the server and exits 130', async (t) => {
  const fake = await startFakeGateway(t);
  fake.events = [{ timeMs: 1, type: 'step', step: 1, steps: 1, text: 'RUN sleep', cached: false }];
  fake.hold = true;
  const ran = await runHearth(['deploy', 'hello'], {
    cwd: helloFolder(t),
    url: fake.url,
    onStart: (child) => child.stderr?.once('data', () => child.kill('SIGINT')),
  });
  assert.equal(ran.exit, 130, ran.err);
  assert.equal(fake.requests.at(-1), 'DELETE /v1/builds/b-1');
  assert.equal(ran.err, '1/1 RUN sleep\nerror: build b-1 was cancelled\n');
});

test('invoke streams stdin to the function and its answer to stdout, without our token', async (t) => {
  const fake = await startFakeGateway(t);
  let authorization: string | undefined = 'not called';
  fake.answers.set('POST /function/hello/a', (request, answer) => {
    authorization = request.headers.authorization;
    answer.setHeader('x-query', new URL(request.url ?? '', 'http://x').search);
    request.pipe(answer);
  });
  const args = ['invoke', 'hello', '-d', '-', '--path', '/a?q=1', '-i'];
  const input = 'x'.repeat(300_000);
  const ran = await runHearth(args, { url: fake.url, input });
  assert.equal(ran.exit, 0, ran.err);
  assert.match(ran.out, /^HTTP\/1\.1 200 OK\nx-query: \?q=1\n/);
  assert.ok(ran.out.endsWith(`\n\n${input}`));
  assert.equal(authorization, undefined);
});

test('invoke shows what the function itself answered, and a 500 of it is exit code 7', async (t) => {
  const fake = await startFakeGateway(t);
  fake.answers.set('GET /function/hello', (_, answer) => {
    answer.writeHead(500);
    answer.end('my own error');
  });
  const ran = await runHearth(['invoke', 'hello'], { url: fake.url });
  assert.deepEqual(ran, { exit: 7, out: 'my own error', err: 'the function answered 500\n' });
});

test('invoke --json has status, headers, body and duration', async (t) => {
  const fake = await startFakeGateway(t);
  fake.answers.set('POST /function/hello', (request, answer) => {
    sendJson(answer, { type: request.headers['content-type'] });
  });
  const ran = await runHearth(['invoke', 'hello', '-d', '{"a":1}', '--json'], { url: fake.url });
  const { status, body, durationMs, headers } = JSON.parse(ran.out);
  assert.equal(status, 200);
  assert.equal(body, '{"type":"application/json"}');
  assert.equal(headers['content-type'], 'application/json');
  assert.ok(durationMs > 0);
});

test('invoke tells an answer that breaks off', async (t) => {
  const fake = await startFakeGateway(t);
  fake.answers.set('GET /function/hello', (_, answer) => {
    answer.writeHead(200, { 'content-length': 1000 });
    answer.write('part', () => answer.destroy());
  });
  const ran = await runHearth(['invoke', 'hello'], { url: fake.url });
  assert.equal(ran.exit, 7);
  assert.match(ran.err, /^error: the answer broke off before its end\n$/);
});

const SUMMARY: FunctionSummary = {
  name: 'hello',
  state: 'ready',
  generation: 2,
  url: 'http://u/function/hello',
  traffic: [{ revisionId: 'hello-00002', percent: 100 }],
  instances: 1,
  memoryBytes: 1,
  updatedAtMs: Date.now(),
};

test('list prints an aligned table, or with --json all fields', async (t) => {
  const fake = await startFakeGateway(t);
  fake.answers.set('GET /v1/functions', (_, answer) => sendJson(answer, { functions: [SUMMARY] }));
  const plain = await runHearth(['list'], { url: fake.url });
  const [heading = '', row = ''] = plain.out.split('\n');
  assert.equal(heading.indexOf('STATE'), row.indexOf('ready'));
  assert.match(row, /^hello +ready +1 +hello-00002 .*http:\/\/u\/function\/hello$/);
  const json = await runHearth(['list', '--json'], { url: fake.url });
  assert.deepEqual(JSON.parse(json.out), [SUMMARY]);
});

test('a pipe that is closed early is silent and no failure', async (t) => {
  const fake = await startFakeGateway(t);
  const functions = Array.from({ length: 5000 }, (_, n) => ({ ...SUMMARY, name: `hello-${n}` }));
  fake.answers.set('GET /v1/functions', (_, answer) => sendJson(answer, { functions }));
  const main = join(import.meta.dirname, 'main.js');
  const env = { HEARTH_URL: fake.url, HEARTH_TOKEN: TOKEN };
  const child = spawn(process.execPath, [main, 'list'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let err = '';
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const [code] = await once(child, 'close');
  assert.deepEqual({ code, err }, { code: 0, err: '' });
});

test('nothing has colours when it is not a terminal', async (t) => {
  const fake = await startFakeGateway(t);
  const cwd = helloFolder(t);
  for (const env of [{ NO_COLOR: '1' }, { FORCE_COLOR: '1' }, {}] as Record<string, string>[]) {
    const ran = await runHearth(['deploy', 'hello'], { cwd, url: fake.url, env });
    assert.ok(!`${ran.out}${ran.err}`.includes('\x1b'));
  }
});

test('--quiet leaves results and errors', async (t) => {
  const fake = await startFakeGateway(t);
  const ran = await runHearth(['-q', 'deploy', 'hello'], { cwd: helloFolder(t), url: fake.url });
  assert.deepEqual(ran, { exit: 0, out: 'http://127.0.0.1:1/function/hello\n', err: '' });
});

test('logs shows each line with its instance, and control characters made visible', async (t) => {
  const fake = await startFakeGateway(t);
  const line: LogLine = {
    timeMs: 0,
    functionName: 'hello',
    instanceId: 'i-1',
    stream: 'stdout',
    text: 'a\x1b[2J',
  };
  fake.answers.set('GET /v1/functions/hello/logs', (_, answer) => {
    answer.end(`${JSON.stringify(line)}\n${JSON.stringify({ ...line, stream: 'system' })}\n`);
  });
  const ran = await runHearth(['logs', 'hello', '-t'], { url: fake.url });
  const time = '1970-01-01T00:00:00.000Z';
  assert.equal(ran.out, `${time} i-1 a\\x1b[2J\n${time} i-1 * a\\x1b[2J\n`);
});

test('logs -f goes on after a broken connection, and ends well with Ctrl-C', async (t) => {
  const fake = await startFakeGateway(t);
  let calls = 0;
  fake.answers.set('GET /v1/functions/hello/logs', (_, answer) => {
    calls++;
    const text = `line ${calls}`;
    const line = { timeMs: 0, functionName: 'hello', instanceId: 'i', stream: 'stdout', text };
    answer.write(`${JSON.stringify(line)}\n`, () => calls === 1 && answer.destroy());
  });
  const ran = await runHearth(['logs', 'hello', '-f'], {
    url: fake.url,
    onStart: (child) =>
      child.stdout?.on('data', (chunk) => String(chunk).includes('2') && child.kill('SIGINT')),
  });
  assert.deepEqual(ran, { exit: 0, out: 'i line 1\ni line 2\n', err: '' });
});

test('remove --ignore-missing is well with a function that is not there', async (t) => {
  const fake = await startFakeGateway(t);
  const ran = await runHearth(['rm', 'gone', '--ignore-missing'], { url: fake.url });
  assert.deepEqual(ran, { exit: 0, out: 'gone was not there\n', err: '' });
});

test('version tells the server it cannot reach and is no failure', async () => {
  const ran = await runHearth(['version', '--json'], { url: 'http://127.0.0.1:9' });
  const node = process.versions.node;
  assert.deepEqual(JSON.parse(ran.out), { cli: VERSION, server: null, node, kernel: release() });
  assert.equal(ran.exit, 0);
});

test('each daemon explains its flags', async () => {
  for (const name of ['gateway', 'scheduler', 'builder', 'agent']) {
    const ran = await runHearth([name, '--help']);
    assert.match(ran.out, /--data-root +HEARTH_DATA_ROOT/);
    assert.equal(ran.exit, 0);
  }
});

test('hearth alone prints the help and is a usage error', async () => {
  const ran = await runHearth([]);
  assert.equal(ran.exit, 2);
  assert.match(ran.err, /^Usage: hearth/);
  assert.equal((await runHearth(['--help'])).exit, 0);
});
