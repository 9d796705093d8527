import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encode } from 'dns-packet';
import { LIMITS } from '../../../../lib/limits.ts';
import { silentLog } from '../../../../lib/telemetry/log.ts';
import { parseSubnet } from '../subnet.ts';
import { readQuery } from './answer.ts';
import { Forwarder } from './forwarder.ts';
import { NameTable } from './name-table.ts';
import { DnsServer } from './server.ts';
import { frame } from './stream-frames.ts';

const skip = process.getuid?.() === 0 ? false : 'port 53 needs root';
/** Of loopback, and nobody else's. */
const ADDRESS = `127.${100 + (process.pid % 100)}.${(process.pid >> 8) % 250}.53`;
const PATIENCE_MS = 5_000;
/** With a compressed name of 127 labels for an owner, and another one for data. */
const RECORD = Buffer.from('c00c00020001000000000002c00c', 'hex');

function question(name: string): Buffer {
  const questions = [{ name, type: 'A' }] as const;
  return encode({ type: 'query', id: 7, flags: 0x100, questions: [...questions] });
}

/** A question that announces, and has, so many records more. */
function stuffed(records: number): Buffer {
  const packet = Buffer.concat([
    question(Array(126).fill('a').join('.')),
    ...Array<Buffer>(records).fill(RECORD),
  ]);
  packet.writeUInt16BE(records, 6);
  return packet;
}

async function serve(t: TestContext, upstream: () => void = () => {}): Promise<DnsServer> {
  const resolver = createSocket('udp4').on('message', upstream);
  resolver.bind(0, ADDRESS);
  await once(resolver, 'listening');
  const { port } = resolver.address();
  const server = new DnsServer({
    address: ADDRESS,
    subnet: parseSubnet('127.0.0.0/8'),
    table: new NameTable(),
    forwarder: new Forwarder({ resolvers: () => [ADDRESS], port }),
    log: silentLog(),
  });
  t.after(async () => {
    resolver.close();
    await server.close();
  });
  await server.listen();
  return server;
}

test('an answer that comes when its network is gone is nobody’s', { skip }, async (t) => {
  const asked = Promise.withResolvers<void>();
  const server = await serve(t, () => asked.resolve());
  const client = createSocket('udp4');
  t.after(() => client.close());
  client.send(question('slow.example'), 53, ADDRESS);
  await asked.promise;
  await server.close();
  // The name server elsewhere is given up after two seconds: what was thrown then ended the process
  await sleep(2_500);
});

test('a stream of nothing is ended, not read', { skip }, async (t) => {
  await serve(t);
  const socket = connect({ host: ADDRESS, port: 53 });
  socket.on('error', () => {});
  socket.write(Buffer.alloc(1024 * 1024));
  const timeout = sleep(PATIENCE_MS, 'open', { ref: false });
  const closed = new Promise((resolve) => socket.once('close', () => resolve('closed')));
  assert.equal(await Promise.race([closed, timeout]), 'closed');
});

test('questions on one stream are answered until they are too many', { skip }, async (t) => {
  await serve(t);
  const socket = connect({ host: ADDRESS, port: 53 });
  socket.on('error', () => {});
  let answers = 0;
  socket.on('data', (chunk: Buffer) => {
    answers += chunk.length;
  });
  const packet = stuffed(0);
  packet[2] = 0x10;
  socket.write(Buffer.concat(Array<Buffer>(1000).fill(frame(packet))));
  await new Promise((resolve) => socket.once('close', resolve));
  // Refusals of 12 bytes in frames: as many as an asker may have at once, and hardly more
  assert.ok(answers > 0 && answers < 14 * 600, `${answers} bytes`);
});

test('one asker’s streams leave room for others’', { skip }, async (t) => {
  await serve(t);
  const idle = Array.from({ length: LIMITS.dnsStreamsMax }, () =>
    connect({ host: ADDRESS, port: 53 }).on('error', () => {}),
  );
  t.after(() => {
    for (const socket of idle) socket.destroy();
  });
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  const other = connect({ host: ADDRESS, port: 53, localAddress: '127.0.0.9' });
  t.after(() => other.destroy());
  const packet = stuffed(0);
  packet[2] = 0x10;
  other.write(frame(packet));
  const timeout = sleep(PATIENCE_MS, ['nothing'], { ref: false });
  const [answer] = await Promise.race([once(other, 'data'), once(other, 'close'), timeout]);
  assert.ok(Buffer.isBuffer(answer), String(answer));
});

test('a question that announces thousands of records is refused unread', () => {
  assert.ok('query' in readQuery(stuffed(0)));
  assert.deepEqual(readQuery(stuffed(1)), { fault: { id: 7, code: 1 } });
  assert.deepEqual(readQuery(stuffed(4_000)), { fault: { id: 7, code: 1 } });
});
