import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { newId } from '../lib/ids.ts';
import { hasRedis } from '../lib/testing/redis.ts';
import { behaviours, type Seen } from './testing/echo-handler.ts';
import { TestPlatform, until } from './testing/platform.ts';
import { sendRaw } from './testing/raw-http.ts';

/** Callers and instances that speak HTTP badly, or on purpose wrong. */

const skip = hasRedis() ? false : 'needs redis-server';
const seen: Seen = { requests: [], aborted: [] };
let platform: TestPlatform;

before(async () => {
  if (skip !== false) return;
  platform = await TestPlatform.start({
    handler: behaviours(seen, (id) => platform.agent.crash(id)),
  });
  await platform.deploy('hello');
  await (await fetch(`${platform.url}/function/hello`)).text();
});
const servers: Server[] = [];
after(async () => {
  for (const server of servers) server.close();
  await platform?.stop();
});

const POST = 'POST /function/hello/smuggled HTTP/1.1\r\nHost: h\r\n';
/** A second request hidden in the body of the first. */
const HIDDEN = 'GET /function/hello/hidden HTTP/1.1\r\nHost: h\r\n\r\n';

const SMUGGLED: readonly [string, string][] = [
  [
    'both lengths',
    `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  ],
  ['two lengths', `${POST}Content-Length: 0\r\nContent-Length: 60\r\n\r\n${HIDDEN}`],
  ['a negative length', `${POST}Content-Length: -1\r\n\r\n${HIDDEN}`],
  ['a length with a sign', `${POST}Content-Length: +5\r\n\r\nhello`],
  ['a list of lengths', `${POST}Content-Length: 5, 5\r\n\r\nhello`],
  ['a space before the colon', `${POST}Content-Length : 5\r\n\r\nhello`],
  ['an unknown coding', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
  ['a coding hidden by a tab', `${POST}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${HIDDEN}`],
  [
    'identity after chunked',
    `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${HIDDEN}`,
  ],
  ['a bad chunk size', `${POST}Transfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\n`],
  ['a folded header', `${POST}X-A: 1\r\n Content-Length: 5\r\n\r\nhello`],
  ['a NUL in a header', `${POST}X-A: a\0b\r\nContent-Length: 0\r\n\r\n`],
  [
    'two hosts',
    'GET /function/hello/hidden HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n',
  ],
  ['no host', 'GET /function/hello/hidden HTTP/1.1\r\n\r\n'],
];

for (const [what, bytes] of SMUGGLED) {
  test(`a request with ${what} is refused and reaches nobody`, { skip }, async () => {
    const count = seen.requests.length;
    const answer = await Promise.race([
      sendRaw(platform.url, bytes),
      new Promise<string>((_, reject) => setTimeout(reject, 5_000, new Error('not closed'))),
    ]);
    assert.match(answer, /^HTTP\/1\.1 4\d\d /);
    assert.equal(seen.requests.length, count);
  });
}

/** An instance that is a bare socket: `speak` sees each connection's first bytes. */
async function rawInstance(name: string, speak: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => speak(socket));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await platform.deploy(name);
  const id = newId('i');
  await platform.store.put('instance', id, {
    id,
    node: platform.agent.name,
    functionName: name,
    revisionId: `${name}-00001`,
    state: 'ready',
    endpoint: { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    concurrency: 10,
    reason: 'scale',
    phases: { totalMs: 1 },
    startedAtMs: 0,
    readyAtMs: 0,
  });
  await until(async () => {
    const page = await (await fetch(`${platform.url}/metrics`)).text();
    return page.includes('hearth_gateway_instances{state="ready"}');
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
}

const OK = 'HTTP/1.1 200 OK\r\n';
const ANSWERS: readonly [string, string][] = [
  ['both lengths', `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['two lengths', `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`],
  ['a status that is none', 'HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n'],
  ['a switch of protocols that nobody asked for', 'HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n'],
  ['a header that never ends', `${OK}X-A: ${'a'.repeat(100_000)}`],
  ['a thousand informational answers', 'HTTP/1.1 103 Hints\r\n\r\n'.repeat(1000)],
];

for (const [index, [what, bytes]] of ANSWERS.entries()) {
  test(`an answer with ${what} is a 502, and the gateway goes on`, { skip }, async () => {
    const name = `bad-${index}`;
    await rawInstance(name, (socket) => socket.write(bytes, 'latin1'));
    const response = await fetch(`${platform.url}/function/${name}`, { method: 'POST', body: 'x' });
    assert.equal(response.status, 502, await response.text());
    assert.ok(response.headers.get('x-hearth-error-type'));
    assert.equal((await fetch(`${platform.url}/function/hello`)).status, 200);
  });
}

test('a request that is no HTTP gets an error of the platform', { skip }, async () => {
  const answer = await sendRaw(platform.url, 'FOO /function/hello HTTP/1.1\r\nHost: h\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.match(answer, /\r\nx-hearth-error-type: BadRequest\r\n/);
  assert.match(answer, /"message":"the request is not valid HTTP: Invalid method/);
});

test('a second answer that nobody asked for is delivered to nobody', { skip }, async () => {
  const answer = (body: string): string => `${OK}Content-Length: ${body.length}\r\n\r\n${body}`;
  let count = 0;
  await rawInstance('poison', (socket) => {
    count++;
    socket.write(`${answer(`own-${count}`)}${answer('poison')}`);
  });
  for (let i = 0; i < 3; i++) {
    const response = await fetch(`${platform.url}/function/poison`);
    assert.match(await response.text(), /^own-\d$/);
  }
});

test('an instance that closes idle connections at any moment loses no GET', {
  skip,
}, async () => {
  await rawInstance('closing', (socket) => {
    let idle: NodeJS.Timeout | undefined;
    const answer = (): void => {
      clearTimeout(idle);
      socket.write(`${OK}Content-Length: 2\r\n\r\nok`);
      idle = setTimeout(() => socket.destroy(), Math.random() * 8);
    };
    socket.on('data', answer);
    answer();
  });
  const statuses = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const response = await fetch(`${platform.url}/function/closing`);
    await response.text();
    statuses.add(response.status);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
  }
  assert.deepEqual([...statuses], [200]);
});

test('callers that go away at any moment leave no request behind', { skip }, async () => {
  await platform.deploy('leavers', { concurrency: 100 });
  const { hostname, port } = new URL(platform.url);
  const head = 'POST /function/leavers/big HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n';
  const one = async (delayMs: number): Promise<void> => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => undefined);
    socket.write(head + 'x'.repeat(delayMs % 3 === 0 ? 2000 : 500));
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    socket.destroy();
  };
  await Promise.all(Array.from({ length: 200 }, (_, i) => one(i % 40)));
  await until(async () => {
    const page = await (await fetch(`${platform.url}/metrics`)).text();
    return /hearth_gateway_in_flight 0\n/.test(page) && /hearth_gateway_waiting 0\n/.test(page);
  });
  assert.equal((await fetch(`${platform.url}/function/leavers/id`)).status, 200);
});
