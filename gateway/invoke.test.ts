import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { HearthError } from '../lib/errors.ts';
import { hasRedis } from '../lib/testing/redis.ts';
import { behaviours, type Seen } from './testing/echo-handler.ts';
import { TestPlatform, until } from './testing/platform.ts';
import { sendRaw } from './testing/raw-http.ts';

const skip = hasRedis() ? false : 'needs redis-server';
const seen: Seen = { requests: [], aborted: [] };
let platform: TestPlatform;
let failWith: HearthError | undefined;

before(async () => {
  if (skip !== false) return;
  platform = await TestPlatform.start({
    handler: behaviours(seen, (id) => platform.agent.crash(id)),
    failStart: () => failWith,
  });
  await platform.deploy('hello');
});
after(async () => platform?.stop());

interface Echo {
  method: string;
  url: string;
  rawHeaders: string[];
  body: string;
}

function call(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${platform.url}/function/${path}`, init);
}

async function refusal(
  response: Response,
): Promise<{ code: string; message: string; requestId: string }> {
  const { error } = (await response.json()) as {
    error: { code: string; message: string; requestId: string };
  };
  assert.equal(response.headers.get('x-hearth-error-type'), error.code);
  assert.equal(response.headers.get('x-call-id'), error.requestId);
  return error;
}

function valuesOf(rawHeaders: string[], name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}

test('a cold request starts an instance, a warm one uses it', { skip }, async () => {
  const cold = await call('hello/id');
  assert.equal(cold.status, 200);
  assert.equal(cold.headers.get('x-cold-start'), '1');
  const timing = cold.headers.get('server-timing') ?? '';
  const names = timing.split(', ').map((part) => part.split(';')[0]);
  assert.deepEqual(names, ['queue', 'mount', 'spawn', 'ready', 'import', 'app']);
  const warm = await call('hello/id');
  assert.equal(warm.headers.get('x-cold-start'), null);
  assert.equal(warm.headers.get('server-timing'), null);
  assert.equal(await warm.text(), await cold.text());
  assert.equal(platform.agent.starts.length, 1);
});

test('method, path, query, body and headers arrive as they were sent', { skip }, async () => {
  const response = await call('hello/a%2Fb//c?x=%20y', {
    method: 'PATCH',
    body: 'payload',
    headers: { 'x-custom': 'v', 'content-type': 'text/plain' },
  });
  const echo = (await response.json()) as Echo;
  assert.equal(echo.method, 'PATCH');
  assert.equal(echo.url, '/a%2Fb//c?x=%20y');
  assert.equal(echo.body, 'payload');
  assert.deepEqual(valuesOf(echo.rawHeaders, 'x-custom'), ['v']);
  assert.deepEqual(valuesOf(echo.rawHeaders, 'host'), [new URL(platform.url).host]);
  assert.deepEqual(valuesOf(echo.rawHeaders, 'x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(valuesOf(echo.rawHeaders, 'x-forwarded-proto'), ['http']);
  const [deadline = ''] = valuesOf(echo.rawHeaders, 'x-deadline-ms');
  assert.ok(Math.abs(Number(deadline) - Date.now() - 30_000) < 5_000);
  assert.deepEqual(valuesOf(echo.rawHeaders, 'x-call-id'), [response.headers.get('x-call-id')]);
});

test('an unusual method and an odd content type are passed on', { skip }, async () => {
  const answer = await sendRaw(
    platform.url,
    'PROPFIND /function/hello/%zz HTTP/1.1\r\nHost: h\r\nContent-Type: not a type;;\r\n' +
      'Content-Length: 2\r\nConnection: close\r\n\r\nhi',
  );
  const echo = JSON.parse(answer.split('\r\n\r\n')[1] ?? '') as Echo;
  assert.equal(echo.method, 'PROPFIND');
  assert.equal(echo.url, '/%zz');
  assert.equal(echo.body, 'hi');
  assert.deepEqual(valuesOf(echo.rawHeaders, 'content-type'), ['not a type;;']);
});

test('headers of the answer keep case, order, duplicates and bytes', { skip }, async () => {
  const answer = await sendRaw(
    platform.url,
    'GET /function/hello/cookies HTTP/1.1\r\nHost: h\r\nX-Call-Id: mine-1\r\nConnection: close\r\n\r\n',
  );
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
  assert.match(answer, /\r\nX-Mixed-Case: caf\u00e9\r\n/);
  assert.match(answer, /\r\nX-Call-Id: mine-1\r\n/);
  assert.doesNotMatch(answer, /error-type|fake/i);
});

test('HEAD, 204 and 304 have no body and leave the connection usable', { skip }, async () => {
  const head = await call('hello/big', { method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), '5000000');
  assert.equal(await head.text(), '');
  assert.equal((await call('hello/none')).status, 204);
  const unchanged = await call('hello/unchanged');
  assert.equal(unchanged.status, 304);
  assert.equal(unchanged.headers.get('etag'), '"a"');
});

test('trailers are passed on', { skip }, async () => {
  const request = httpRequest(`${platform.url}/function/hello/trailers`);
  request.end();
  const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve));
  assert.equal(await text(response), 'body');
  assert.deepEqual(response.trailers, { 'x-sum': '42' });
});

test('an answer streams: its parts arrive before its end', { skip }, async () => {
  const response = await call('hello/stream');
  const times: number[] = [];
  for await (const _chunk of response.body ?? []) times.push(performance.now());
  assert.ok(times.length >= 4, `${times.length} chunks`);
  assert.ok((times.at(-1) ?? 0) - (times[0] ?? 0) > 60);
});

test('an answer before the end of the upload reaches the caller', { skip }, async () => {
  const request = httpRequest(`${platform.url}/function/hello/early`, { method: 'POST' });
  request.on('error', () => undefined);
  request.write('begin');
  const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve));
  assert.equal(response.statusCode, 401);
  assert.equal(await text(response), 'no');
  request.destroy();
});

test('a body that nobody reads is dropped, and the connection serves on', { skip }, async () => {
  const head = 'POST /function/hello/early HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n';
  const next = 'GET /function/hello/next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
  const answer = await sendRaw(platform.url, `${head}${'x'.repeat(300_000)}${next}`);
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 401', 'HTTP/1.1 200']);
});

test('Expect: 100-continue is answered before the body is sent', { skip }, async () => {
  const request = httpRequest(`${platform.url}/function/hello/count`, {
    method: 'POST',
    headers: { expect: '100-continue', 'content-length': 3 },
  });
  await new Promise((resolve) => request.on('continue', resolve));
  request.end('abc');
  const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve));
  assert.equal(await text(response), '3');
});

test('a body above the limit is refused by its announced length', { skip }, async () => {
  const answer = await sendRaw(
    platform.url,
    'POST /function/hello HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n',
  );
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.match(answer, /x-hearth-error-type: PayloadTooLarge/);
});

const NAMES: readonly [string, number, string][] = [
  ['nothere', 404, 'FunctionNotFound'],
  ['a%2fb', 400, 'NameInvalid'],
  ['a%252fb', 400, 'NameInvalid'],
  ['%2e%2e/v1/functions', 400, 'NameInvalid'],
  ['Hello', 400, 'NameInvalid'],
  ['', 400, 'NameInvalid'],
];
for (const [path, status, code] of NAMES) {
  test(`/function/${path} is answered ${code}`, { skip }, async () => {
    const answer = await sendRaw(
      platform.url,
      `GET /function/${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`,
    );
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(answer, new RegExp(`x-hearth-error-type: ${code}\r\n`));
  });
}

test('a function that gives no answer in time is a 504 and is aborted', { skip }, async () => {
  await platform.deploy('late', { timeoutMs: 150 });
  const response = await call('late/hang');
  assert.equal(response.status, 504);
  const error = await refusal(response);
  assert.equal(error.code, 'RequestTimeout');
  assert.match(error.message, /within 150ms/);
  await until(() => seen.aborted.includes('/hang'));
});

test('a timeout ends with the headers: a long stream is not cut', { skip }, async () => {
  const response = await call('late/stream');
  assert.equal((await response.text()).split('data:').length, 6);
});

test('a crash before the answer is a 502 with the reason of the agent', { skip }, async () => {
  await platform.deploy('fragile');
  assert.equal((await call('fragile')).status, 200);
  const [id = ''] = [...platform.agent.instances.values()]
    .filter(({ record }) => record.functionName === 'fragile')
    .map(({ record }) => record.id);
  platform.agent.ends.set(id, new HearthError('InstanceOOM', 'exceeded 128 MiB').toBody());
  // A GET too, as what ended one instance would end the next.
  const response = await call('fragile/crash');
  assert.equal(seen.requests.filter(({ url }) => url === '/crash').length, 1);
  assert.equal(response.status, 502);
  const error = await refusal(response);
  assert.equal(error.code, 'InstanceOOM');
  assert.equal(error.message, 'exceeded 128 MiB');
  // The next finds nobody behind the old address: nothing was delivered, so another is started.
  assert.equal((await call('fragile', { method: 'POST', body: 'y' })).status, 200);
  await platform.agent.remove(id);
});

test('a crash after the headers breaks the connection and is no short answer', {
  skip,
}, async () => {
  await platform.deploy('halfway');
  const response = await call('halfway/crash-late');
  assert.equal(response.status, 200);
  await assert.rejects(response.text());
});

test('a POST whose connection breaks is not sent twice; a GET is, once', { skip }, async () => {
  await platform.deploy('breaking');
  const sent = (method: string): number =>
    seen.requests.filter((r) => r.url === `/reset/${method}`).length;
  const post = await call('breaking/reset/POST', { method: 'POST', body: 'x' });
  assert.equal(post.status, 502);
  assert.equal((await refusal(post)).code, 'InstanceCrashed');
  assert.equal(sent('POST'), 1);
  const get = await call('breaking/reset/GET');
  assert.equal(get.status, 502);
  assert.equal(sent('GET'), 2);
});

test('an answer that is not HTTP is a 502 ResponseInvalid', { skip }, async () => {
  const response = await call('hello/garbage', { method: 'POST', body: 'x' });
  assert.equal(response.status, 502);
  assert.equal((await refusal(response)).code, 'ResponseInvalid');
});

test('a caller that goes away ends the request at the instance', { skip }, async () => {
  const gone = new AbortController();
  const pending = call('hello/hang/gone', { signal: gone.signal });
  await until(() => seen.requests.some(({ url }) => url === '/hang/gone'));
  gone.abort();
  await assert.rejects(pending);
  await until(() => seen.aborted.includes('/hang/gone'));
});

test('a start that fails is told with its reason and its last lines', { skip }, async () => {
  await platform.deploy('broken');
  failWith = new HearthError('StartFailed', 'exited 1 after 0.3 s', {
    details: { logTail: ['Error: boom'] },
  });
  const response = await call('broken');
  const { error } = (await response.json()) as { error: { code: string; details: unknown } };
  assert.equal(response.status, 422);
  assert.equal(error.code, 'StartFailed');
  assert.deepEqual(error.details, { logTail: ['Error: boom'] });
  // One retry each; from the second failure on it is told at once that it cannot start.
  await call('broken');
  const startsBefore = platform.agent.starts.length;
  const refused = await call('broken');
  assert.equal(refused.status, 503);
  assert.equal((await refusal(refused)).code, 'FunctionUnhealthy');
  assert.equal(refused.headers.get('retry-after'), '1');
  assert.equal(platform.agent.starts.length, startsBefore);
  failWith = undefined;
});

test('a first deploy under way is a 503 Deploying, a failed one FunctionUnhealthy', {
  skip,
}, async () => {
  await platform.deploy('fresh');
  const stored = await platform.store.get('function', 'fresh');
  assert.ok(stored);
  const record = { ...stored.record, traffic: [], generation: 2, buildId: 'b-none' };
  await platform.store.put('function', 'fresh', { ...record, state: 'deploying' });
  await platform.settled('fresh', 2);
  const deploying = await call('fresh');
  assert.equal(deploying.status, 503);
  assert.equal((await refusal(deploying)).code, 'Deploying');
  assert.equal(deploying.headers.get('retry-after'), '1');
  const lastError = new HearthError('NotListening', 'nothing listened on 8080').toBody();
  await platform.store.put('function', 'fresh', {
    ...record,
    generation: 3,
    state: 'failed',
    lastError,
  });
  await platform.settled('fresh', 3);
  const failed = await refusal(await call('fresh'));
  assert.equal(failed.code, 'FunctionUnhealthy');
  assert.match(failed.message, /NotListening: nothing listened on 8080/);
});

test('1000 requests over 50 connections from zero all succeed', { skip }, async () => {
  await platform.deploy('burst', { concurrency: 20 });
  const statuses: number[] = [];
  let left = 1000;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const response = await call('burst/id');
      await response.text();
      statuses.push(response.status);
    }
  };
  await Promise.all(Array.from({ length: 50 }, worker));
  assert.equal(statuses.length, 1000);
  assert.deepEqual(new Set(statuses), new Set([200]));
  const started = platform.agent.starts.filter(
    ({ functionName }) => functionName === 'burst',
  ).length;
  assert.ok(started >= 1 && started <= 3, `${started} instances for 50 requests at once`);
});

test('metrics count by function, and what is not one has no label of its own', {
  skip,
}, async () => {
  const page = await (await fetch(`${platform.url}/metrics`)).text();
  assert.match(page, /hearth_gateway_requests_total\{function="burst",code="200"\} 1000/);
  assert.match(page, /hearth_gateway_requests_total\{function="_other",code="404"\} 1/);
  assert.doesNotMatch(page, /nothere/);
  assert.match(page, /hearth_gateway_cold_starts_total\{function="hello"\} 1/);
  assert.match(page, /hearth_gateway_in_flight 0/);
});
