import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { openDuplex } from './duplex.ts';

/** A server that reads one packet and hangs up. */
async function listen(heard: (bytes: Buffer) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      heard(bytes);
      socket.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

for (const [protocol, first] of [
  ['http', 'P'],
  // A record of TLS, "handshake" (RFC 8446, 5.1)
  ['https', '\u0016'],
] as const) {
  test(`${protocol} is spoken where the address says so, before there is anything to send`, async () => {
    const heard: string[] = [];
    const server = await listen((bytes) => heard.push(bytes.toString('latin1')));
    try {
      const { port } = server.address() as AddressInfo;
      const body = new Readable({ read: () => {} });
      const url = new URL(`${protocol}://127.0.0.1:${port}/v1/x`);
      await assert.rejects(openDuplex(url, { method: 'POST', headers: {}, body }), {
        code: 'ECONNRESET',
      });
      assert.equal(heard[0]?.[0], first);
    } finally {
      server.close();
    }
  });
}
