import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import { addRegistryProxy, isToken } from './registry-proxy.ts';

const seen: { url: string; authorization: string; body: string }[] = [];
const upstream = createServer(async (request, response) => {
  const { url = '', headers } = request;
  seen.push({ url, authorization: headers.authorization ?? '', body: await text(request) });
  const { port } = upstream.address() as AddressInfo;
  response.writeHead(202, { location: `http://127.0.0.1:${port}/v2/a/blobs/uploads/1?s=2` });
  response.end('taken');
});
let app: FastifyInstance;

before(async () => {
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const { port } = upstream.address() as AddressInfo;
  app = Fastify();
  addRegistryProxy(app, {
    registryUrl: `http://127.0.0.1:${port}`,
    userToken: 'user',
    clusterToken: 'cluster',
  });
  await app.ready();
});
after(async () => {
  await app.close();
  upstream.close();
});

const BASIC = `Basic ${Buffer.from('anybody:user').toString('base64')}`;

test('isToken() takes Bearer, and Basic with any user', () => {
  assert.equal(isToken('Bearer user', 'user'), true);
  assert.equal(isToken(BASIC, 'user'), true);
  for (const bad of [undefined, '', 'user', 'Bearer', 'Bearer use', 'Basic user', 'Digest user']) {
    assert.equal(isToken(bad, 'user'), false, String(bad));
  }
});

test('the registry is asked with the platform’s own token', async () => {
  for (const authorization of ['Bearer user', BASIC]) {
    const response = await app.inject({
      method: 'POST',
      url: '/v2/a/blobs/uploads/?x=y',
      headers: { authorization, 'content-type': 'application/octet-stream' },
      payload: 'bytes',
    });
    assert.equal(response.statusCode, 202);
    assert.equal(response.headers.location, '/v2/a/blobs/uploads/1?s=2');
    assert.deepEqual(seen.at(-1), {
      url: '/v2/a/blobs/uploads/?x=y',
      authorization: 'Bearer cluster',
      body: 'bytes',
    });
  }
});

test('without the token a login is asked for and nothing passes', async () => {
  const count = seen.length;
  const response = await app.inject({ url: '/v2/' });
  assert.equal(response.statusCode, 401);
  assert.equal(response.headers['www-authenticate'], 'Basic realm="hearth"');
  assert.equal(seen.length, count);
});
