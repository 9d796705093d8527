import { join } from 'node:path';
import { describe } from 'node:test';
import { packageRoot } from '../../../lib/paths.ts';
import { type AnswerRow, answerTests } from '../testing/answer-row.ts';
import { ASGI_ECHO } from '../testing/asgi-echo.ts';

const COMMAND = ['python3', join(packageRoot, 'node-agent/guest/python/main.py')];

const ROWS: AnswerRow[] = [
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

describe('shapes and answers', () => answerTests(COMMAND, ROWS));
