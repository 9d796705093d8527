import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { packageRoot } from '../../../lib/paths.ts';
import { type CallOptions, type Guest, spawnGuest } from '../testing/spawn-guest.ts';

const MAIN = join(packageRoot, 'node-agent/guest/python/main.py');

function start(t: TestContext, files: Record<string, string>, env?: Record<string, string>): Guest {
  const command = ['python3', MAIN];
  return spawnGuest(t, { command, files, ...(env === undefined ? {} : { env }) });
}

async function ready(guest: Guest): Promise<Guest> {
  const status = await guest.status;
  assert.equal(status.ready, true, JSON.stringify(status));
  assert.ok(Number(status.importMs) >= 0);
  return guest;
}

interface Row {
  title: string;
  files: Record<string, string>;
  env?: Record<string, string>;
  path?: string;
  call?: CallOptions;
  status?: number;
  body?: string | RegExp;
  type?: string;
  headers?: Record<string, string | string[]>;
}

const ASGI_ECHO = `
state = []
async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        while True:
            message = await receive()
            state.append(message['type'])
            await send({'type': message['type'] + '.complete'})
            if message['type'] == 'lifespan.shutdown':
                print('down')
                return
    body = b''
    more = True
    while more:
        message = await receive()
        body += message['body']
        more = message['more_body']
    await send({'type': 'http.response.start', 'status': 201, 'headers': [(b'x-up', state[0].encode())]})
    await send({'type': 'http.response.body', 'body': scope['path'].encode() + b' ', 'more_body': True})
    await send({'type': 'http.response.body', 'body': body + scope['query_string']})
`;

const ROWS: Row[] = [
  {
    title: 'text',
    files: { 'app.py': 'def handler(request):\n  return "hi"' },
    body: 'hi',
    type: 'text/plain; charset=utf-8',
    headers: { 'content-length': '2' },
  },
  {
    title: 'an object as JSON',
    files: { 'main.py': 'def handler(request, context):\n  return {"a": [1]}' },
    body: '{"a":[1]}',
    type: 'application/json',
  },
  {
    title: 'a list as JSON',
    files: { 'app.py': 'def handler():\n  return [1, 2]' },
    body: '[1,2]',
  },
  { title: 'nothing', files: { 'app.py': 'def handler():\n  pass' }, status: 204, body: '' },
  {
    title: 'bytes',
    files: { 'function.py': 'def handler(r, c):\n  return b"raw"' },
    body: 'raw',
    type: 'application/octet-stream',
  },
  {
    title: 'body, status, headers',
    files: {
      'app.py': 'def handler(r):\n  return "made", 201, {"x-a": "1", "Content-Type": "text/x"}',
    },
    status: 201,
    body: 'made',
    type: 'text/x',
    headers: { 'x-a': '1' },
  },
  {
    title: 'a Response-like object',
    files: {
      'app.py':
        'class R:\n  status_code = 202\n  headers = [("set-cookie", "a=1"), ("set-cookie", "b=2")]\n  body = b"r"\ndef handler(r):\n  return R()',
    },
    status: 202,
    body: 'r',
    headers: { 'set-cookie': ['a=1', 'b=2'] },
  },
  {
    title: 'a generator',
    files: { 'app.py': 'def handler(r):\n  yield "a"\n  yield b"b"\n  yield {"c": 1}' },
    body: 'ab{"c": 1}\n',
    type: 'text/plain; charset=utf-8',
    headers: { 'transfer-encoding': 'chunked' },
  },
  {
    title: 'an async handler',
    files: {
      'app.py': 'import asyncio\nasync def handler(r):\n  await asyncio.sleep(0)\n  return "async"',
    },
    body: 'async',
  },
  {
    title: 'an async generator',
    files: { 'app.py': 'async def handler(r):\n  yield "a"\n  yield "b"' },
    body: 'ab',
  },
  {
    title: 'the request',
    files: {
      'app.py': `def handler(request, context):
  return ' '.join([request.method, request.url, request.path, request.query['q'],
                   request.headers['X-A'], request.json()['name']])`,
    },
    path: '/a%20b?q=1',
    call: {
      method: 'POST',
      body: '{"name":"Ada"}',
      headers: { 'x-a': 'y', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'h.example' },
    },
    body: 'POST https://h.example/a%20b?q=1 /a b 1 y Ada',
  },
  {
    title: 'the context',
    files: {
      'app.py': `def handler(request, context):
  return [context.call_id, context.function, context.revision, context.remaining_ms() > 0,
          context.deadline.timestamp() * 1000 == context.deadline_ms]`,
    },
    call: { headers: { 'x-call-id': 'c-1', 'x-deadline-ms': String(Date.now() + 60_000) } },
    body: '["c-1","fn","fn-00001",true,true]',
  },
  {
    title: 'a WSGI function',
    files: {
      'app.py': `def app(environ, start_response):
  body = environ['wsgi.input'].read()
  start_response('201 Created', [('X-Path', environ['PATH_INFO']), ('Content-Type', 'text/plain')])
  return [environ['REQUEST_METHOD'].encode() + b' ' + body + environ['HTTP_X_A'].encode()]`,
    },
    path: '/p',
    call: { method: 'POST', body: 'body', headers: { 'x-a': 'z' } },
    status: 201,
    body: 'POST bodyz',
    headers: { 'x-path': '/p', 'content-length': '10' },
  },
  {
    title: 'a WSGI object by HEARTH_HANDLER',
    files: {
      'web/wsgi.py': `class App:
  def __call__(self, environ, start_response):
    start_response('200 OK', [])
    yield b'a'
    yield b'b'
api = App()`,
    },
    env: { HEARTH_HANDLER: 'web.wsgi:api' },
    body: 'ab',
  },
  {
    title: 'a chunked body',
    files: { 'app.py': 'def handler(r):\n  return b"|".join(r)' },
    call: { method: 'POST', body: 'abc', headers: { 'transfer-encoding': 'chunked' } },
    body: 'abc',
  },
  {
    title: 'ASGI with lifespan',
    files: { 'app.py': ASGI_ECHO },
    path: '/p?q',
    call: { method: 'POST', body: 'body' },
    status: 201,
    body: '/p bodyq',
    headers: { 'x-up': 'lifespan.startup' },
  },
  {
    title: 'ASGI without lifespan, as an object',
    files: {
      'app.py': `class App:
  async def __call__(self, scope, receive, send):
    assert scope['type'] == 'http'
    await send({'type': 'http.response.start', 'status': 200})
    await send({'type': 'http.response.body', 'body': b'object'})
app = App()`,
    },
    body: 'object',
    headers: { 'content-length': '6' },
  },
  {
    title: 'HEAD has the headers and no body',
    files: { 'app.py': 'def handler(r):\n  return "four"' },
    call: { method: 'HEAD' },
    body: '',
    headers: { 'content-length': '4' },
  },
  {
    title: "an error is the function's own 500",
    files: { 'app.py': 'def handler(r):\n  raise ValueError("secret text")' },
    call: { headers: { 'x-call-id': 'c-9' } },
    status: 500,
    body: '{"error":"the function failed; its log says why","callId":"c-9"}',
    type: 'application/json',
  },
  {
    title: 'an error of an ASGI app',
    files: { 'app.py': 'async def app(scope, receive, send):\n  raise ValueError("x")' },
    status: 500,
  },
  {
    title: 'a header with a line end',
    files: { 'app.py': 'def handler(r):\n  return "x", 200, {"a": "b\\r\\nc: d"}' },
    status: 500,
  },
  {
    title: 'a status that is none',
    files: { 'app.py': 'def handler(r):\n  return "x", 99' },
    status: 500,
  },
  {
    title: 'an own module beside it',
    files: {
      'src/app.py': 'import words\ndef handler(r):\n  return words.WORD',
      'src/words.py': 'WORD = "w"',
    },
    body: 'w',
  },
  {
    title: 'a package with relative imports',
    files: {
      'pkg/__init__.py': '',
      'pkg/web.py': 'from .words import WORD\ndef call(r):\n  return WORD',
      'pkg/words.py': 'WORD = "rel"',
    },
    env: { HEARTH_HANDLER: 'pkg.web:call' },
    body: 'rel',
  },
];

describe('shapes and answers', () => {
  for (const row of ROWS) {
    it(row.title, async (t) => {
      const guest = await ready(start(t, row.files, row.env));
      const answer = await guest.call(row.path ?? '/', row.call);
      assert.equal(answer.status, row.status ?? 200, answer.body + guest.stderr());
      if (typeof row.body === 'string') assert.equal(answer.body, row.body);
      if (row.type !== undefined) assert.equal(answer.headers['content-type'], row.type);
      for (const [name, value] of Object.entries(row.headers ?? {})) {
        assert.deepEqual(answer.headers[name], value, name);
      }
    });
  }
});

describe('starts that fail', () => {
  const rows: [string, Record<string, string>, RegExp, RegExp, Record<string, string>?][] = [
    ['no file', {}, /^HandlerInvalid$/, /^no handler in .*looked for app.py, main.py/],
    [
      'no such module',
      {},
      /HandlerInvalid/,
      /handler "x:y" is not a module/,
      { HEARTH_HANDLER: 'x:y' },
    ],
    [
      'no such attribute',
      { 'app.py': '' },
      /HandlerInvalid/,
      /"app.py" has no "go"/,
      { HEARTH_HANDLER: 'app:go' },
    ],
    [
      'nothing to call',
      { 'app.py': 'import os\nX = 1' },
      /HandlerInvalid/,
      /it has "os" \(module\) and "X" \(int\)|"os" \(module\), "X" \(int\)/,
    ],
    ['raises', { 'app.py': '1 / 0' }, /^ZeroDivisionError$/, /division by zero/],
    ['syntax', { 'app.py': 'x = 1\ndef handler(:' }, /^SyntaxError$/, /\(app.py, line 2\)/],
    [
      'missing module',
      { 'app.py': 'import nosuchmodule' },
      /^ModuleNotFoundError$/,
      /nosuchmodule/,
    ],
    ['exits', { 'app.py': 'import sys\nsys.exit(0)' }, /^SystemExit$/, /0/],
    [
      'lifespan fails',
      {
        'app.py': `async def app(scope, receive, send):
  await receive()
  await send({'type': 'lifespan.startup.failed', 'message': 'no database'})`,
      },
      /^RuntimeError$/,
      /lifespan startup failed: no database/,
    ],
  ];
  for (const [title, files, name, message, env] of rows) {
    it(title, async (t) => {
      const guest = start(t, files, env);
      const status = await guest.status;
      assert.equal(status.ready, false);
      assert.match(status.error?.name ?? '', name);
      assert.match(status.error?.message ?? '', message);
      assert.doesNotMatch(status.error?.stack ?? '', /hearth_guest|frozen importlib/);
      assert.deepEqual(await guest.exited, { code: 1, signal: null });
      assert.notEqual(guest.stderr(), '');
    });
  }
});

describe('serving', () => {
  it('streams the answer as it comes and the request as it is sent', async (t) => {
    const files = {
      'app.py': 'def handler(r):\n  yield "go"\n  for part in r:\n    yield b"<" + part + b">"',
    };
    const guest = await ready(start(t, files));
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
    const guest = await ready(
      start(t, { 'app.py': 'def handler(r):\n  yield "a"\n  raise KeyError("mid")' }),
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
    const guest = await ready(start(t, files));
    const call = request({ socketPath: guest.socketPath, path: '/', agent: false });
    call.on('error', () => {});
    call.end();
    await new Promise((resolve) => call.once('response', (r) => r.once('data', resolve)));
    call.destroy();
    while (!guest.stdout().includes('finally')) await new Promise((r) => setTimeout(r, 5));
  });

  it('keeps a connection for many calls, also when a body was not read', async (t) => {
    const guest = await ready(start(t, { 'app.py': 'def handler(r):\n  return "ok"' }));
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
    const guest = await ready(start(t, files));
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
    const guest = await ready(start(t, files));
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
    const guest = await ready(start(t, { 'app.py': 'def handler(r):\n  return "x"' }));
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
    const guest = await ready(start(t, files));
    await guest.call('/', { headers: { 'x-call-id': 'c-7' } });
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
    const guest = await ready(start(t, { 'app.py': 'def handler(r):\n  return "ok"' }));
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
