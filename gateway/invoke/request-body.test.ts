import assert from 'node:assert/strict';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { RequestBody } from './request-body.ts';

/** Sends `bytes` in chunks to a server that handles the request as `handle` does. */
async function post(bytes: number, handle: (request: IncomingMessage) => Promise<string>) {
  const server = createServer(async (request, response) => {
    response.end(await handle(request).catch((error: unknown) => String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', agent: false });
  request.on('error', () => undefined);
  for (let sent = 0; sent < bytes; sent += 1000) request.write(Buffer.alloc(1000));
  request.end();
  try {
    const [response] = (await new Promise((resolve) =>
      request.on('response', (...args) => resolve(args)),
    )) as [IncomingMessage];
    return (await buffer(response)).toString();
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a body passes whole', async () => {
  const answer = await post(300_000, async (request) => {
    const body = new RequestBody(request, { bytesMax: 300_000 });
    return String((await buffer(body)).length);
  });
  assert.equal(answer, '300000');
});

test('a body of unknown length ends at the limit', async () => {
  const answer = await post(10_000, async (request) => {
    const body = new RequestBody(request, { bytesMax: 9_999 });
    const error = await buffer(body).catch((reason: unknown) => reason);
    assert.ok(error instanceof HearthError);
    return error.code;
  });
  assert.equal(answer, 'PayloadTooLarge');
});

test('a try that read nothing leaves the whole body to the next', async () => {
  const answer = await post(50_000, async (request) => {
    const first = new RequestBody(request, { bytesMax: 50_000 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    first.destroy();
    assert.equal(first.hasBeenRead, false);
    const second = new RequestBody(request, { bytesMax: 50_000 });
    return String((await buffer(second)).length);
  });
  assert.equal(answer, '50000');
});
