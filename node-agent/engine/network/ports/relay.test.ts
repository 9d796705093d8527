import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { silentLog } from '../../../../lib/telemetry/log.ts';
import { compileStatic, missingForCompile } from '../../testing/compile.ts';
import { PublishedPorts } from './published-ports.ts';
import { openTcpRelay } from './tcp-relay.ts';
import { openUdpRelay } from './udp-relay.ts';

const LOOPBACK = '127.0.0.1';

async function echo(t: TestContext): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}).pipe(socket);
  });
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('a connection passes whole, with an end of its own on each side', async (t) => {
  const port = await echo(t);
  const relay = await openTcpRelay({ hostAddress: LOOPBACK, hostPort: 0, address: LOOPBACK, port });
  t.after(() => relay.close());
  const socket = connect({ host: LOOPBACK, port: relay.hostPort, allowHalfOpen: true });
  const sent = 'x'.repeat(1_000_000);
  socket.end(sent);
  assert.equal(await text(socket), sent);
});

test('a connection to nobody ends, and so do those of a relay that closes', async (t) => {
  const plan = { hostAddress: LOOPBACK, hostPort: 0, address: LOOPBACK };
  const dead = await openTcpRelay({ ...plan, port: 1 });
  t.after(() => dead.close());
  await ended(connect({ host: LOOPBACK, port: dead.hostPort }));
  const port = await echo(t);
  const relay = await openTcpRelay({ ...plan, port });
  t.after(() => relay.close());
  const socket = connect({ host: LOOPBACK, port: relay.hostPort });
  socket.write('x');
  await once(socket, 'data');
  const gone = ended(socket);
  await relay.close();
  await gone;
});

/** Resolves when a connection is closed, by an error too. */
function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => {}).once('close', () => resolve());
  });
}

async function client(t: TestContext, port: number): Promise<DatagramSocket> {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.connect(port, LOOPBACK);
  await once(socket, 'connect');
  return socket;
}

test('each client of a UDP port hears its own answers', async (t) => {
  const target = createSocket('udp4');
  const sources = new Set<number>();
  target.on('message', (packet, { port, address }) => {
    sources.add(port);
    target.send(packet, port, address);
  });
  target.bind(0, LOOPBACK);
  await once(target, 'listening');
  t.after(() => target.close());
  const relay = await openUdpRelay({
    hostAddress: LOOPBACK,
    hostPort: 0,
    address: LOOPBACK,
    port: target.address().port,
  });
  t.after(() => relay.close());
  const clients = [await client(t, relay.hostPort), await client(t, relay.hostPort)];
  for (const round of ['one', 'two']) {
    for (const [n, socket] of clients.entries()) {
      const heard = once(socket, 'message');
      socket.send(`${round} ${n}`);
      assert.equal(String((await heard)[0]), `${round} ${n}`);
    }
  }
  // A flow a client, used again
  assert.equal(sources.size, 2);
});

/** Sends one datagram from port 0, which any machine of a network can. */
const FROM_PORT_0 = `
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr("127.0.0.1") };
  unsigned short packet[] = { 0, htons(atoi(argv[1])), htons(9), 0, 'x' };
  return sendto(fd, packet, 9, 0, (struct sockaddr *)&to, sizeof to) == 9 ? 0 : 1;
}
`;
const skip = process.getuid?.() === 0 ? (missingForCompile() ?? false) : 'a raw socket needs root';

test('a datagram from port 0, which no answer reaches, ends nothing', { skip }, async (t) => {
  const target = createSocket('udp4');
  const heard: string[] = [];
  target.on('message', (packet, { address, port }) => {
    heard.push(packet.toString());
    target.send('answer', port, address);
  });
  target.bind(0, LOOPBACK);
  await once(target, 'listening');
  t.after(() => target.close());
  const { port } = target.address();
  const relay = await openUdpRelay({ hostAddress: LOOPBACK, hostPort: 0, address: LOOPBACK, port });
  t.after(() => relay.close());
  const folder = mkdtempSync(join(tmpdir(), 'hearth-relay-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync(compileStatic(join(folder, 'send'), FROM_PORT_0), [`${relay.hostPort}`]);
  const socket = await client(t, relay.hostPort);
  const answered = once(socket, 'message');
  socket.send('later');
  await answered;
  assert.deepEqual(heard, ['later']);
});

test('ports that cannot all be opened are none of them', async (t) => {
  const taken = await echo(t);
  const ports = new PublishedPorts(silentLog());
  t.after(() => ports.closeAll());
  const port = { hostAddress: LOOPBACK, containerPort: 80, protocol: 'tcp' } as const;
  const free = await ports.open('10.0.0.1', [{ ...port, hostPort: 0 }]);
  const number = free[0]?.hostPort ?? 0;
  await ports.close('10.0.0.1');
  const both = [
    { ...port, hostPort: number },
    { ...port, hostPort: taken },
  ];
  await assert.rejects(ports.open('10.0.0.2', both), {
    code: 'Conflict',
    message: `port 127.0.0.1:${taken}/tcp is in use`,
  });
  await ports.open('10.0.0.3', [{ ...port, hostPort: number }]);
});
