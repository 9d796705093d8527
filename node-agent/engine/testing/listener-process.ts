/**
 * Listens at `ADDRESS,PORT` for each argument, TCP and UDP, answers what comes with one byte, and says
 * who came where for every line on its stdin: JSON, an array of `PROTOCOL LOCAL:PORT REMOTE`.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

let seen: string[] = [];

async function listen(address: string, port: number): Promise<void> {
  const server = createServer((socket) => {
    seen.push(`tcp ${address}:${port} ${socket.remoteAddress}`);
    socket.on('error', () => {}).end('x');
  });
  server.listen({ port, host: address, exclusive: true });
  await once(server, 'listening');
  const datagrams = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  datagrams.on('message', (_, from) => {
    seen.push(`udp ${address}:${port} ${from.address}`);
    datagrams.send('x', from.port, from.address);
  });
  datagrams.bind({ port, address, exclusive: true });
  await once(datagrams, 'listening');
}

for (const place of process.argv.slice(2)) {
  const [address = '', port] = place.split(',');
  await listen(address, Number(port));
}
console.log('[]');
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(seen));
  seen = [];
}
process.exit(0);
