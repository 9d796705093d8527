import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { test } from 'node:test';
import { silentLog } from '../telemetry/log.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { createApiServer } from './server.ts';

/** Sends the head at once, then a byte now and then for as long as the server listens. */
async function dribble(port: number, head: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  let answer = '';
  socket.on('data', (text: string) => {
    answer += text;
  });
  socket.on('error', () => {});
  socket.write(head);
  const timer = setInterval(() => socket.write('a'), 100);
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(timer);
  return answer;
}

test('a caller who goes on sending after its answer loses its connection', async (t) => {
  const app = createApiServer({ log: silentLog(), metrics: new Metrics(), token: 'secret' });
  app.post('/v1/things', async () => ({}));
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const rest = 'HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n';
  const answers = await Promise.all(
    ['POST /v1/things', 'POST /absent', 'GET /healthz'].map((line) =>
      dribble(port, `${line} ${rest}`),
    ),
  );
  assert.deepEqual(
    answers.map((answer) => answer.slice(9, 12)),
    ['401', '401', '200'],
  );
});
