import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { packageRoot } from '../../../lib/paths.ts';
import { ASGI_ECHO } from '../testing/asgi-echo.ts';
import { type GuestOptions, readyGuest } from '../testing/spawn-guest.ts';

const COMMAND = ['python3', join(packageRoot, 'node-agent/guest/python/main.py')];

function of(files: Record<string, string>): GuestOptions {
  return { command: COMMAND, files };
}

describe('serving', () => {
  it('streams the answer as it comes and the request as it is sent', async (t) => {
    const files = {
      'app.py': 'def handler(r):\n  yield "go"\n  for part in r:\n    yield b"<" + part + b">"',
    };
    const guest = await readyGuest(t, of(files));
    const call = request({ socketPath: guest.socketPath, path: '/', method: 'POST', agent: false });
    const got: string[] = [];
    await new Promise<void>((resolve, reject) => {
      call.once('error', reject);
      call.flushHeaders();
      call.once('response', (response) => {
        response.setEncoding('utf8').on('data', (chunk: string) => {
          got.push(chunk);
          if (got.length === 1) call.write('one');
          if (got.length === 2) call.end('two');
        });
        response.once('end', resolve);
      });
    });
    assert.deepEqual(got, ['go', '<one>', '<two>']);
  });

  it('breaks the connection when a stream fails, and logs with the call id', async (t) => {
    const guest = await readyGuest(
      t,
      of({ 'app.py': 'def handler(r):\n  yield "a"\n  raise KeyError("mid")' }),
    );
    await assert.rejects(guest.call('/', { headers: { 'x-call-id': 'c-5' } }));
    while (!guest.stderr().includes('mid')) await new Promise((r) => setTimeout(r, 5));
    assert.match(guest.stderr(), /call c-5 failed: Traceback.*app\.py", line 3/s);
  });

  it('closes a generator when the caller goes', async (t) => {
    const files = {
      'app.py': `import time
def handler(r):
  try:
    while True:
      yield "tick"
      time.sleep(0.005)
  finally:
    print("finally")`,
    };
    const guest = await readyGuest(t, of(files));
    const call = request({ socketPath: guest.socketPath, path: '/', agent: false });
    call.on('error', () => {});
    call.end();
    await new Promise((resolve) => call.once('response', (r) => r.once('data', resolve)));
    call.destroy();
    while (!guest.stdout().includes('finally')) await new Promise((r) => setTimeout(r, 5));
  });

  it('ends an endless generator for HEAD', async (t) => {
    const files = { 'app.py': 'def handler(r):\n  while True:\n    yield "x"' };
    const guest = await readyGuest(t, of(files));
    assert.equal((await guest.call('/', { method: 'HEAD' })).body, '');
  });

  it('keeps a connection for many calls, also when a body was not read', async (t) => {
    const guest = await readyGuest(t, of({ 'app.py': 'def handler(r):\n  return "ok"' }));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = { agent, method: 'POST', body: 'unread' };
    for (let i = 0; i < 20; i++) assert.equal((await guest.call('/', call)).body, 'ok');
    const sockets = Object.values(agent.freeSockets).flat().length;
    agent.destroy();
    assert.equal(sockets, 1);
  });

  it('serves calls at once', async (t) => {
    const files = {
      'app.py': `import threading
gate = threading.Barrier(8)
def handler(r):
  gate.wait()
  return "met"`,
    };
    const guest = await readyGuest(t, of(files));
    const answers = await Promise.all(Array.from({ length: 8 }, () => guest.call('/')));
    assert.deepEqual(
      answers.map((answer) => answer.body),
      Array(8).fill('met'),
    );
  });

  it('drains on SIGTERM: calls in flight end, lifespan shuts down, then exit 0', async (t) => {
    const files = {
      'app.py': `import asyncio
${ASGI_ECHO}
inner = app
async def app(scope, receive, send):
    if scope['type'] == 'http':
        print('in')
        await asyncio.sleep(0.1)
    await inner(scope, receive, send)`,
    };
    const guest = await readyGuest(t, of(files));
    const agent = new Agent({ keepAlive: true });
    const call = guest.call('/x', { agent });
    while (!guest.stdout().includes('in')) await new Promise((r) => setTimeout(r, 5));
    guest.child.kill('SIGTERM');
    assert.equal((await call).body, '/x ');
    assert.deepEqual(await guest.exited, { code: 0, signal: null });
    assert.match(guest.stdout(), /down/);
    agent.destroy();
  });

  it('drains at once when idle, also with connections kept', async (t) => {
    const guest = await readyGuest(t, of({ 'app.py': 'def handler(r):\n  return "x"' }));
    const agent = new Agent({ keepAlive: true });
    await guest.call('/', { agent });
    guest.child.kill('SIGTERM');
    assert.deepEqual(await guest.exited, { code: 0, signal: null });
    agent.destroy();
  });

  it('prints lines at once and logger lines as JSON with the call id', async (t) => {
    const files = {
      'app.py': 'def handler(r, c):\n  print("plain")\n  c.logger.info("said", n=2)\n  return ""',
    };
    const guest = await readyGuest(t, of(files));
    await guest.call('/', { headers: { 'x-call-id': 'c-7' } });
    // The lines come by another way than the answer
    while (guest.stdout().split('\n').length < 3) await new Promise((r) => setTimeout(r, 5));
    const [plain, json] = guest.stdout().split('\n');
    assert.equal(plain, 'plain');
    const line = JSON.parse(json ?? '') as Record<string, unknown>;
    assert.deepEqual([line.callId, line.msg, line.n], ['c-7', 'said', 2]);
  });

  const refused: [string, string, RegExp][] = [
    ['garbage', 'garbage\r\n\r\n', /^HTTP\/1\.1 400/],
    ['a blank before the colon', 'GET / HTTP/1.1\r\nA : b\r\n\r\n', /^HTTP\/1\.1 400/],
    ['a folded header', 'GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n', /^HTTP\/1\.1 400/],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1\.1 400/,
    ],
    [
      'a length that is no number',
      'POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
      /^HTTP\/1\.1 400/,
    ],
    [
      'headers without end',
      `GET / HTTP/1.1\r\n${`A: ${'x'.repeat(1000)}\r\n`.repeat(70)}\r\n`,
      /^HTTP\/1\.1 431/,
    ],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\n', /^HTTP\/1\.1 505/],
  ];
  it('refuses what is no HTTP and goes on', async (t) => {
    const guest = await readyGuest(t, of({ 'app.py': 'def handler(r):\n  return "ok"' }));
    for (const [title, bytes, answer] of refused) {
      const socket = connect(guest.socketPath);
      socket.on('error', () => {});
      socket.write(bytes);
      const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
      assert.match(String(chunk), answer, title);
      socket.destroy();
    }
    assert.equal((await guest.call('/')).body, 'ok');
  });
});
