import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type GuestOptions, readyGuest, spawnGuest } from '../testing/spawn-guest.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, 'main.js')];

function of(files: Record<string, string>): GuestOptions {
  return { command: COMMAND, files };
}

describe('serving', () => {
  it('streams the answer as it comes and the request as it is sent', async (t) => {
    const files = {
      'index.mjs': `export default (request) => new Response((async function* () {
        const decoder = new TextDecoder();
        for await (const chunk of request.body) yield new TextEncoder().encode('<' + decoder.decode(chunk) + '>');
      })())`,
    };
    const guest = await readyGuest(t, of(files));
    const call = request({ socketPath: guest.socketPath, path: '/', method: 'POST', agent: false });
    const got: string[] = [];
    await new Promise<void>((resolve, reject) => {
      call.once('error', reject);
      call.flushHeaders();
      call.once('response', (response) => {
        // The headers are here before a byte of the body was sent: the first word goes now.
        call.write('one');
        response.setEncoding('utf8').on('data', (chunk: string) => {
          got.push(chunk);
          if (got.length === 1) call.end('two');
        });
        response.once('end', resolve);
      });
    });
    assert.deepEqual(got, ['<one>', '<two>']);
  });

  it('breaks the connection when a stream fails, and logs with the call id', async (t) => {
    const files = {
      'index.mjs': 'export default async function* () { yield "a"; throw new Error("mid") }',
    };
    const guest = await readyGuest(t, of(files));
    await assert.rejects(guest.call('/', { headers: { 'x-call-id': 'c-5' } }));
    while (!guest.stderr().includes('mid')) await new Promise((r) => setTimeout(r, 5));
    assert.match(guest.stderr(), /call c-5 failed: Error: mid\n\s+at .*index\.mjs:1/);
  });

  it('ends a stream and its signal when the caller goes', async (t) => {
    const files = {
      'index.mjs': `export default (request, context) => {
        context.signal.addEventListener('abort', () => console.log('abort', context.signal.reason.name));
        return (async function* () {
          try { for (let i = 0; ; i++) { yield 'tick'; await new Promise((r) => setTimeout(r, 5)); } }
          finally { console.log('finally'); }
        })();
      }`,
    };
    const guest = await readyGuest(t, of(files));
    const call = request({ socketPath: guest.socketPath, path: '/', agent: false });
    call.on('error', () => {});
    call.end();
    await new Promise((resolve) => call.once('response', (r) => r.once('data', resolve)));
    call.destroy();
    while (!guest.stdout().includes('finally')) await new Promise((r) => setTimeout(r, 5));
    assert.match(guest.stdout(), /abort AbortError/);
  });

  it('ends an endless stream for HEAD, and for a caller that left before it began', async (t) => {
    const files = {
      'index.mjs': `async function* endless(name) {
          try { for (;;) yield name } finally { console.log(name, 'ended') } }
        export default async (request, { signal }) => {
          if (request.method === 'HEAD') return endless('head');
          console.log('in');
          await new Promise((go) => signal.addEventListener('abort', go));
          return endless('left') }`,
    };
    const guest = await readyGuest(t, of(files));
    assert.equal((await guest.call('/', { method: 'HEAD' })).status, 200);
    const call = request({ socketPath: guest.socketPath, path: '/', agent: false });
    call.on('error', () => {});
    call.end();
    while (!guest.stdout().includes('in\n')) await new Promise((r) => setTimeout(r, 5));
    call.destroy();
    while (!guest.stdout().includes('left')) await new Promise((r) => setTimeout(r, 5));
    assert.match(guest.stdout(), /head ended/);
    guest.child.kill('SIGTERM');
    assert.deepEqual(await guest.exited, { code: 0, signal: null });
  });

  it("a header that is none is the function's own 500", async (t) => {
    const body = 'async function* () { yield "a"; throw new Error("later") }';
    const files = {
      'index.mjs': `export default () => ({ status: 200, headers: new Map([['a', 'b\\nc']]),
        body: (${body})(), arrayBuffer() {} })`,
    };
    const guest = await readyGuest(t, of(files));
    assert.equal((await guest.call('/')).status, 500);
    assert.equal((await guest.call('/')).status, 500);
  });

  it('SIGTERM while the handler is imported ends it at once', async (t) => {
    const files = {
      'index.mjs': 'console.log("top"); await new Promise((r) => setTimeout(r, 60_000))',
    };
    const guest = spawnGuest(t, of(files));
    while (!guest.stdout().includes('top')) await new Promise((r) => setTimeout(r, 5));
    guest.child.kill('SIGTERM');
    assert.deepEqual(await guest.exited, { code: 143, signal: null });
  });

  it('aborts the signal at the deadline', async (t) => {
    const files = {
      'index.mjs': `export default (request, { signal }) => new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(signal.reason.name)); setTimeout(() => {}, 60000) })`,
    };
    const guest = await readyGuest(t, of(files));
    const headers = { 'x-deadline-ms': String(Date.now() + 20) };
    assert.equal((await guest.call('/', { headers })).body, 'TimeoutError');
  });

  it('keeps a connection for many calls', async (t) => {
    const guest = await readyGuest(
      t,
      of({ 'index.mjs': 'export default () => new Response("ok")' }),
    );
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i++) assert.equal((await guest.call('/', { agent })).body, 'ok');
    const sockets = Object.values(agent.freeSockets).flat().length;
    agent.destroy();
    assert.equal(sockets, 1);
  });

  it('drains on SIGTERM: calls in flight end, then exit 0', async (t) => {
    const files = {
      'index.mjs': `export default async () => { console.log('in');
        await new Promise((r) => setTimeout(r, 100)); return 'done' }`,
    };
    const guest = await readyGuest(t, of(files));
    const agent = new Agent({ keepAlive: true });
    const call = guest.call('/', { agent });
    while (!guest.stdout().includes('in')) await new Promise((r) => setTimeout(r, 5));
    guest.child.kill('SIGTERM');
    const answer = await call;
    assert.equal(answer.body, 'done');
    assert.deepEqual(await guest.exited, { code: 0, signal: null });
    agent.destroy();
  });

  it('drains at once when idle, also with connections kept', async (t) => {
    const guest = await readyGuest(t, of({ 'index.mjs': 'export default () => "x"' }));
    const agent = new Agent({ keepAlive: true });
    await guest.call('/', { agent });
    guest.child.kill('SIGTERM');
    assert.deepEqual(await guest.exited, { code: 0, signal: null });
    agent.destroy();
  });

  it('an error outside of any call ends the process with 1 and its stack', async (t) => {
    const files = {
      'index.mjs':
        'export default () => { setTimeout(() => { throw new Error("late") }); return "x" }',
    };
    const guest = await readyGuest(t, of(files));
    await guest.call('/').catch(() => {});
    assert.deepEqual(await guest.exited, { code: 1, signal: null });
    assert.match(guest.stderr(), /Error: late\n\s+at .*index\.mjs/);
  });

  it('prints console lines as they are and logger lines as JSON with the call id', async (t) => {
    const files = {
      'index.mjs': `export default (r, { logger }) => { console.log('plain', 1);
        logger.info('said', { n: 2, big: 3n, error: new Error('e') }); return '' }`,
    };
    const guest = await readyGuest(t, of(files));
    await guest.call('/', { headers: { 'x-call-id': 'c-7' } });
    // The lines come by another way than the answer
    while (guest.stdout().split('\n').length < 3) await new Promise((r) => setTimeout(r, 5));
    const [plain, json] = guest.stdout().split('\n');
    assert.equal(plain, 'plain 1');
    const line = JSON.parse(json ?? '') as Record<string, unknown>;
    assert.equal(line.callId, 'c-7');
    assert.equal(line.msg, 'said');
    assert.equal(line.n, 2);
    assert.equal(line.big, '3');
  });

  it('refuses what is no HTTP and goes on', async (t) => {
    const guest = await readyGuest(t, of({ 'index.mjs': 'export default () => "ok"' }));
    const socket = connect(guest.socketPath);
    socket.write('garbage\r\n\r\n');
    const [chunk] = await new Promise<Buffer[]>((resolve) =>
      socket.once('data', (d) => resolve([d])),
    );
    assert.match(String(chunk), /^HTTP\/1\.1 400/);
    socket.destroy();
    assert.equal((await guest.call('/')).body, 'ok');
  });
});

describe('the runner', () => {
  it('imports nothing but node: and itself', () => {
    const names = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.js'));
    const own = names.filter((name) => !name.endsWith('.test.js'));
    assert.ok(own.length > 10);
    for (const name of own) {
      const source = readFileSync(join(import.meta.dirname, name), 'utf8');
      for (const [, from] of source.matchAll(/(?:^import .*from |^import |import\()'([^']+)'/gm)) {
        assert.match(from ?? '', /^(node:|\.\/)/, name);
      }
    }
  });
});
