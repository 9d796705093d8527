import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { hasRedis } from '../../lib/testing/redis.ts';
import { TestPlatform, until } from '../testing/platform.ts';

/** What callers may do to the way through the gateway to a node, which answers what it was asked. */

const skip = hasRedis() ? false : 'needs redis-server';
/** As many as are open at most through one gateway, and some. */
const GONE_CALLERS = 600;

describe('forward', { skip }, () => {
  let platform: TestPlatform;
  let token: string;
  const asked: string[] = [];
  const servers: Server[] = [];
  let answerAfterMs = 0;
  let isBusy = false;

  before(async () => {
    platform = await TestPlatform.start({ handler: () => (_request, answer) => answer.end() });
    // Two, so that the gateway has to ask which of them has a container
    for (const name of ['a', 'b']) await startNode(name);
    token = await platform.token();
    await until(async () => {
      const found = (await (await call('/v1/system')).json()) as { nodes: unknown[] };
      return found.nodes.length >= 3;
    });
  });
  after(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await platform?.stop();
  });

  async function startNode(name: string): Promise<void> {
    const server = createServer(async (message, answer) => {
      asked.push(`${message.method} ${message.url}`);
      await delay(answerAfterMs);
      if (isBusy) {
        answer.writeHead(503).end('{"error": {"code": "QueueFull", "message": "busy"}}');
        return;
      }
      const has = name === 'a' && message.url?.startsWith('/v1/containers/web');
      answer.writeHead(has ? 200 : 404, { 'content-type': 'application/json' });
      const error = { code: 'NotFound', message: 'does not exist' };
      answer.end(JSON.stringify(has ? { body: await text(message) } : { error }));
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await platform.store.put('node', name, {
      name,
      address: `http://127.0.0.1:${port}`,
      cpuMillis: 1000,
      memoryBytes: 2 ** 30,
      memoryReservedBytes: 0,
      instances: 0,
      version: '0',
      heartbeatAtMs: Date.now(),
    });
  }

  const call = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${platform.url}${path}`, { headers: { authorization: `Bearer ${token}`, ...headers } });

  /** As no client would write it. */
  async function raw(head: string, body = ''): Promise<string> {
    const { hostname, port } = new URL(platform.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `${head}\r\nhost: x\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`,
    );
    socket.write(body);
    return String(await buffer(socket));
  }

  test('callers that leave while their node is looked for hold nothing', async () => {
    answerAfterMs = 100;
    const calls = Array.from({ length: GONE_CALLERS }, async () => {
      const sent = request(`${platform.url}/v1/containers/web/wait`, {
        headers: { authorization: `Bearer ${token}` },
        agent: false,
      });
      sent.on('error', () => {});
      sent.end();
      await delay(30);
      sent.destroy();
    });
    await Promise.all(calls);
    await delay(500);
    answerAfterMs = 0;
    const answer = await call('/v1/containers/web/wait');
    assert.equal(answer.status, 200, await answer.text());
  });

  test('a key that is given twice is the node’s to refuse, and no other value is made of both', async () => {
    await call('/v1/containers/web/archive?path=/a&path=/b');
    assert.match(asked.at(-1) ?? '', /\?path=%2Fa&path=%2Fb$/);
    const twice = await call('/v1/containers/web?node=a&node=b');
    assert.equal(twice.status, 400);
    assert.match(await twice.text(), /node is given more than once/);
  });

  test('what the only node that is meant says instead of its events is told', async () => {
    const answer = await call('/v1/events?node=b&follow=1');
    assert.equal(answer.status, 404);
    assert.match(await answer.text(), /does not exist/);
    assert.equal((await call('/v1/events')).status, 200);
  });

  test('a node that has no room for a reader of logs is no function without logs', async () => {
    await platform.deploy('hello');
    await until(async () => (await call('/v1/functions/hello')).ok);
    isBusy = true;
    const answer = await call('/v1/functions/hello/logs?follow=1');
    isBusy = false;
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /QueueFull/);
  });

  test('a body that is larger than any of JSON is refused here, while it is still sent', async () => {
    asked.length = 0;
    const length = 3 * 1024 ** 2;
    const head = (path: string) => `${path} HTTP/1.1\r\ncontent-length: ${length}`;
    const body = 'x'.repeat(length);
    for (const path of ['POST /v1/containers?node=a', 'POST /v1/containers/web/stop']) {
      assert.match(await raw(head(path), body), /^HTTP\/1.1 413 .*PayloadTooLarge/s, path);
    }
    assert.ok(!asked.some((line) => line.startsWith('POST')), asked.join('\n'));
    assert.match(await raw(head('PUT /v1/containers/web/archive?path=/'), body), /^HTTP\/1.1 200/);
  });

  test('a name of dots leads to no other path of the node', async () => {
    asked.length = 0;
    for (const id of ['..', '.', '%2e%2e', '%2E', '.%2e']) {
      for (const more of ['', '/logs?function=x', '/wait']) {
        assert.match(await raw(`GET /v1/containers/${id}${more} HTTP/1.1`), /^HTTP\/1.1 404/, id);
        assert.match(
          await raw(
            `GET /v1/containers/${id}${more === '' ? '?' : `${more.split('?')[0]}?`}node=a HTTP/1.1`,
          ),
          /^HTTP\/1.1 404/,
          id,
        );
      }
    }
    assert.deepEqual(asked, []);
  });

  test('the header of an exec means nothing on another path', async () => {
    const head = 'GET /v1/containers/web/wait HTTP/1.1\r\nhearth-exec: e30\r\ncontent-length: 40';
    const smuggled = 'GET /v1/containers/web/smuggled HTTP/1.1\r\n\r\n'.slice(0, 40);
    asked.length = 0;
    const answer = await raw(head, smuggled);
    assert.match(answer, /^HTTP\/1.1 200/);
    assert.ok(answer.includes(JSON.stringify(smuggled).slice(1, -1).slice(0, 20)), answer);
    assert.ok(
      asked.every((line) => !line.includes('smuggled')),
      asked.join('\n'),
    );
  });
});
