/**
 * Listens at `ADDRESS,PORT` for each argument, TCP and UDP, and at `@NAME` on an abstract unix socket, answers what comes with one byte, questions
 * of DNS with 198.51.100.53, and says who came where for every line on its stdin: JSON, an array of
 * `PROTOCOL LOCAL:PORT REMOTE`.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { decode, encode } from 'dns-packet';

let seen: string[] = [];

/** What a name server would say, if it is a question. */
function answerTo(packet: Buffer): Buffer | string {
  try {
    const { id, questions = [] } = decode(packet);
    const answers = questions
      .filter(({ type }) => type === 'A')
      .map(({ name }) => ({ type: 'A', name, ttl: 1, data: '198.51.100.53' }) as const);
    return encode({ type: 'response', id: id ?? 0, flags: 0x180, questions, answers });
  } catch {
    return 'x';
  }
}

async function listen(address: string, port: number): Promise<void> {
  const server = createServer((socket) => {
    seen.push(`tcp ${address}:${port} ${socket.remoteAddress}`);
    // Who asks a name server speaks first
    if (port !== 53) {
      socket.on('error', () => {}).end('x');
      return;
    }
    socket
      .on('error', () => {})
      .once('data', (chunk) => {
        const answer = Buffer.from(answerTo(chunk.subarray(2)));
        socket.end(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]));
      });
  });
  server.listen({ port, host: address, exclusive: true });
  await once(server, 'listening');
  const datagrams = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  datagrams.on('message', (packet, from) => {
    seen.push(`udp ${address}:${port} ${from.address}`);
    datagrams.send(answerTo(packet), from.port, from.address);
  });
  datagrams.bind({ port, address, exclusive: true });
  await once(datagrams, 'listening');
}

for (const place of process.argv.slice(2)) {
  const [address = '', port] = place.split(',');
  if (address.startsWith('@')) createServer().listen(`\0${address.slice(1)}`);
  else await listen(address, Number(port));
}
console.log('[]');
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(seen));
  seen = [];
}
process.exit(0);
