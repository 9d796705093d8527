import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { InstanceEndpoint } from '../../lib/records.ts';
import { exposureFor } from './exposure.ts';

let folder = '';
let own: InstanceEndpoint;
const guest = createServer((incoming, response) => {
  if (incoming.url === '/break') incoming.socket.destroy();
  else incoming.pipe(response);
});

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hearth-exposure-'));
  own = { kind: 'unix', path: join(folder, 's') };
  guest.listen(own.path);
  await once(guest, 'listening');
});
after(() => {
  guest.close();
  rmSync(folder, { recursive: true, force: true });
});

function post(to: InstanceEndpoint, path: string, body: string): Promise<string> {
  assert.ok(to.kind === 'tcp');
  return new Promise((resolve, reject) => {
    const { host, port } = to;
    const outgoing = request({ host, port, path, method: 'POST', agent: false });
    outgoing.once('error', reject);
    outgoing.once('response', (answer: IncomingMessage) => resolve(text(answer)));
    outgoing.end(body);
  });
}

test('on loopback instances are reached themselves', async () => {
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) {
    const { endpoint } = await exposureFor(host, '')(own);
    assert.deepEqual(endpoint, own);
  }
});

test('elsewhere each has a port of the agent, under its advertised name', async () => {
  const exposure = await exposureFor('0.0.0.0', 'http://127.0.0.1:8081')(own);
  assert.ok(exposure.endpoint.kind === 'tcp');
  assert.equal(exposure.endpoint.host, '127.0.0.1');
  const body = 'x'.repeat(1_000_000);
  assert.equal(await post(exposure.endpoint, '/', body), body);
  await assert.rejects(post(exposure.endpoint, '/break', ''), { code: 'ECONNRESET' });
  exposure.close();
  await assert.rejects(post(exposure.endpoint, '/', ''), { code: 'ECONNREFUSED' });
});

test('an address that nobody can use is refused at the start', () => {
  assert.throws(() => exposureFor('0.0.0.0', ''), { code: 'ConfigInvalid' });
});
