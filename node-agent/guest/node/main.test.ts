import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { packageRoot } from '../../../lib/paths.ts';
import { type CallOptions, type Guest, spawnGuest } from '../testing/spawn-guest.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, 'main.js')];

function start(t: TestContext, files: Record<string, string>, env?: Record<string, string>): Guest {
  return spawnGuest(t, { command: COMMAND, files, ...(env === undefined ? {} : { env }) });
}

async function ready(guest: Guest): Promise<Guest> {
  const status = await guest.status;
  assert.equal(status.ready, true, JSON.stringify(status));
  assert.ok(Number(status.importMs) >= 0);
  return guest;
}

/** Files, what is asked, and what must come back. */
interface Row {
  title: string;
  files: Record<string, string>;
  path?: string;
  call?: CallOptions;
  status?: number;
  body?: string | RegExp;
  type?: string;
  headers?: Record<string, string | string[]>;
}

const FASTIFY = JSON.stringify(join(packageRoot, 'node_modules/fastify/fastify.js'));
const HELLO_CJS = 'module.exports = (request) => "cjs";';

const ROWS: Row[] = [
  {
    title: 'text',
    files: { 'index.mjs': 'export default () => "hi"' },
    body: 'hi',
    type: 'text/plain; charset=utf-8',
    headers: { 'content-length': '2' },
  },
  {
    title: 'an object as JSON',
    files: { 'index.mjs': 'export default async () => ({ a: [1] })' },
    body: '{"a":[1]}',
    type: 'application/json',
  },
  { title: 'a list as JSON', files: { 'index.mjs': 'export default () => [1, 2]' }, body: '[1,2]' },
  { title: 'nothing', files: { 'index.mjs': 'export default () => {}' }, status: 204, body: '' },
  {
    title: 'bytes',
    files: { 'index.mjs': 'export default () => new Uint8Array([104, 105])' },
    body: 'hi',
    type: 'application/octet-stream',
  },
  {
    title: 'a Response with its headers and cookies',
    files: {
      'index.mjs': `export default () => {
        const headers = new Headers({ 'x-a': '1', connection: 'close' });
        headers.append('set-cookie', 'a=1'); headers.append('set-cookie', 'b=2');
        return new Response('made', { status: 201, headers });
      }`,
    },
    status: 201,
    body: 'made',
    headers: { 'x-a': '1', 'set-cookie': ['a=1', 'b=2'] },
  },
  {
    title: 'a Response without a body',
    files: { 'index.mjs': 'export default () => new Response(null, { status: 202 })' },
    status: 202,
    body: '',
    headers: { 'content-length': '0' },
  },
  {
    title: 'a thrown Response',
    files: { 'index.mjs': 'export default () => { throw new Response("no", { status: 403 }) }' },
    status: 403,
    body: 'no',
  },
  {
    title: 'an async generator',
    files: { 'index.mjs': 'export default async function* () { yield "a"; yield "b"; }' },
    body: 'ab',
    type: 'text/plain; charset=utf-8',
    headers: { 'transfer-encoding': 'chunked' },
  },
  {
    title: 'a Node stream',
    files: {
      'index.mjs':
        'import { Readable } from "node:stream"; export default () => Readable.from([Buffer.from("x"), Buffer.from("y")])',
    },
    body: 'xy',
    type: 'application/octet-stream',
  },
  {
    title: 'a web stream',
    files: { 'index.mjs': 'export default () => new Blob(["blob"]).stream()' },
    body: 'blob',
  },
  {
    title: 'a Blob',
    files: { 'index.mjs': 'export default () => new Blob(["b"], { type: "image/x" })' },
    body: 'b',
    type: 'image/x',
  },
  {
    title: 'the request: method, URL, headers, JSON',
    files: {
      'index.mjs': `export default async (request) => {
        const { name } = await request.json();
        const url = new URL(request.url);
        return [request.method, url.href, request.headers.get('x-a'), name].join(' ');
      }`,
    },
    path: '/a/b?q=1',
    call: {
      method: 'POST',
      body: '{"name":"Ada"}',
      headers: { 'x-a': 'y', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'h.example' },
    },
    body: 'POST https://h.example/a/b?q=1 y Ada',
  },
  {
    title: 'a path of two slashes stays a path',
    files: { 'index.mjs': 'export default (request) => request.url' },
    path: '//evil.example/x',
    body: 'http://fn.example//evil.example/x',
  },
  {
    title: 'a host that is none',
    files: { 'index.mjs': 'export default (request) => request.url' },
    call: { headers: { host: 'a b/c@d' } },
    body: 'http://localhost/',
  },
  {
    title: 'a request that is a real Request',
    files: {
      'index.mjs': `export default async (request) => {
        const copy = new Request(request, { headers: { 'x-b': '2' } });
        return [request instanceof Request, copy.method, await copy.text(), copy.headers.get('x-b')].join();
      }`,
    },
    call: { method: 'PUT', body: 'body' },
    body: 'true,PUT,body,2',
  },
  {
    title: 'a request without fetch loaded: reads what a Request has',
    files: {
      'index.mjs': `export default async (request) => [
        Object.prototype.toString.call(request), request.headers.get('X-A'), request.headers.has('b'),
        [...request.headers].map(([name]) => name).join('+'), request.bodyUsed,
        await request.text(), request.bodyUsed, await request.text().catch((e) => e.name),
        process.moduleLoadList.some((name) => name.endsWith('/undici'))].join()`,
    },
    call: { method: 'POST', body: '\ufeffbody', headers: { 'x-a': '1', connection: 'close' } },
    body: '[object Request],1,false,connection+content-length+host+x-a,false,body,true,TypeError,false',
  },
  {
    title: 'a request without fetch loaded: its stream, then its text',
    files: {
      'index.mjs': `export default async (request) => {
        const { body } = request; return body.constructor.name + await request.text() }`,
    },
    call: { method: 'POST', body: 'x' },
    body: 'ReadableStreamx',
  },
  {
    title: 'a request without fetch loaded: form data, clone',
    files: {
      'index.mjs': `export default async (request) => {
        const copy = request.clone(); const form = await request.formData();
        return form.get('a') + await copy.text() }`,
    },
    call: {
      method: 'POST',
      body: 'a=1',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    },
    body: '1a=1',
  },
  {
    title: 'a request without fetch loaded: given to fetch',
    files: {
      'index.mjs': `import http from './server.cjs';
        export default async (request) => {
          const url = await http(); const init = { method: request.method, headers: request.headers };
          const there = await fetch(url, { ...init, body: request.body, duplex: 'half' });
          return there.text() }`,
      'server.cjs': `const http = process.getBuiltinModule('node:http'); module.exports = () => new Promise((go) => {
        const server = http.createServer((req, res) => req.on('data', (d) => res.end(req.headers['x-a'] + d)));
        server.listen(0, () => { server.unref(); go('http://127.0.0.1:' + server.address().port) }) })`,
    },
    call: { method: 'POST', body: 'proxied', headers: { 'x-a': 'y' } },
    body: 'yproxied',
  },
  {
    title: 'a module loaded later that copies requests',
    files: {
      'index.mjs': `let count = 0; export default async (request) => {
        const { copy } = await import('./later.mjs'); return copy(request) }
        await import('./later.mjs');`,
      'later.mjs': 'export const copy = async (r) => new Request(r, { method: "PUT" }).method',
    },
    body: 'PUT',
  },
  {
    title: 'the context',
    files: {
      'index.mjs': `export default (request, context) => [context.callId, context.function,
        context.revision, context.deadline.getTime() === context.deadlineMs,
        context.remainingMs() > 0, context.signal.aborted, request.signal.aborted].join()`,
    },
    call: { headers: { 'x-call-id': 'c-1', 'x-deadline-ms': String(Date.now() + 60_000) } },
    body: 'c-1,fn,fn-00001,true,true,false,false',
  },
  {
    title: 'an object with fetch, its this kept',
    files: {
      'index.mjs': 'export default { word: "f", fetch() { return new Response(this.word) } }',
    },
    body: 'f',
  },
  {
    title: 'a named node handler',
    files: { 'index.mjs': 'export const node = (req, res) => res.end("node " + req.url)' },
    path: '/x?y',
    body: 'node /x?y',
  },
  { title: 'a CommonJS function', files: { 'index.js': HELLO_CJS }, body: 'cjs' },
  {
    title: 'a compiled default export',
    files: {
      'index.cjs':
        'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = () => "es";',
    },
    body: 'es',
  },
  {
    title: 'an Express-like app',
    files: {
      'app.js': `const app = (req, res, next) => app.handle(req, res, next);
        app.handle = (req, res) => res.end('express'); app.listen = () => {}; module.exports = app;`,
    },
    body: 'express',
  },
  {
    title: 'a Koa-like app',
    files: {
      'app.mjs': `export default { use() {}, callback() { return (req, res) => res.end('koa') } }`,
    },
    body: 'koa',
  },
  {
    title: 'a Fastify-like app, ready first',
    files: {
      'app.mjs': `let is = 'not'; export default {
        async ready() { is = 'ready' }, routing(req, res) { res.end(is) } }`,
    },
    body: 'ready',
  },
  {
    title: 'Fastify itself, exported',
    files: {
      'app.mjs': `import fastify from ${FASTIFY}; const app = fastify();
        app.post('/x', async (request) => ({ got: request.body })); export default app;`,
    },
    path: '/x',
    call: { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } },
    body: '{"got":{"a":1}}',
  },
  {
    title: 'Fastify itself, listening',
    files: {
      'app.mjs': `import fastify from ${FASTIFY}; const app = fastify();
        app.get('/', async () => 'listens'); await app.listen({ port: 3000, host: '0.0.0.0' });`,
    },
    body: 'listens',
  },
  {
    title: 'an exported http.Server',
    files: {
      'server.mjs':
        'import http from "node:http"; export default http.createServer((q, r) => r.end("server"))',
    },
    body: 'server',
  },
  {
    title: 'a program that listens by itself',
    files: {
      'server.js': `const http = require('node:http');
        const server = http.createServer((req, res) => res.end('own ' + server.address().port));
        server.listen(process.env.PORT, () => console.log('on', server.address().port));`,
    },
    body: 'own 8080',
  },
  {
    title: 'a program that listens later',
    files: {
      'server.mjs': `import http from 'node:http';
        setTimeout(() => http.createServer((q, r) => r.end('late')).listen(3000), 20);`,
    },
    body: 'late',
  },
  {
    title: 'TypeScript',
    files: { 'index.ts': 'export default (r: Request): string => "ts " + r.method' },
    body: 'ts GET',
  },
  {
    title: 'package.json main',
    files: { 'package.json': '{"main":"lib/x"}', 'lib/x.js': HELLO_CJS, 'index.js': '0' },
    body: 'cjs',
  },
  {
    title: 'package.json exports',
    files: {
      'package.json': '{"type":"module","exports":{".":{"import":"./lib/y.js"}}}',
      'lib/y.js': 'export default () => "exports"',
    },
    body: 'exports',
  },
  {
    title: 'HEAD has the headers and no body',
    files: { 'index.mjs': 'export default () => "four"' },
    call: { method: 'HEAD' },
    body: '',
    headers: { 'content-length': '4' },
  },
  {
    title: "an error is the function's own 500",
    files: { 'index.mjs': 'export default () => { throw new Error("secret text") }' },
    call: { headers: { 'x-call-id': 'c-9' } },
    status: 500,
    body: '{"error":"the function failed; its log says why","callId":"c-9"}',
    type: 'application/json',
  },
  {
    title: 'an error of a node handler',
    files: { 'index.mjs': 'export const node = async () => { throw new Error("x") }' },
    status: 500,
    body: /the function failed/,
  },
  {
    title: 'what has no JSON',
    files: { 'index.mjs': 'export default () => Symbol("x")' },
    status: 500,
  },
  {
    title: 'a Response with status 0',
    files: { 'index.mjs': 'export default () => Response.error()' },
    status: 500,
  },
  {
    title: 'Lambda: format 2.0 in and out',
    files: {
      'index.mjs': `export const handler = async (event, context) => ({
        statusCode: 201, headers: { 'x-id': context.awsRequestId }, cookies: ['a=1', 'b=2'],
        body: JSON.stringify([event.version, event.rawPath, event.rawQueryString, event.cookies,
          event.queryStringParameters, event.requestContext.http.method, event.body,
          event.isBase64Encoded, context.getRemainingTimeInMillis() > 0]) })`,
    },
    path: '/p?a=1&a=2',
    call: {
      method: 'POST',
      body: '{"x":1}',
      headers: { 'content-type': 'application/json', cookie: 'c=1; d=2', 'x-call-id': 'c-2' },
    },
    status: 201,
    body: '["2.0","/p","a=1&a=2",["c=1","d=2"],{"a":"1,2"},"POST","{\\"x\\":1}",false,true]',
    type: 'application/json',
    headers: { 'x-id': 'c-2', 'set-cookie': ['a=1', 'b=2'] },
  },
  {
    title: 'Lambda: format 1.0 fields, multi value headers, base64 both ways',
    files: {
      'index.js': `exports.handler = async (event) => ({
        statusCode: 200, multiValueHeaders: { 'x-m': ['1', '2'] }, headers: { 'content-type': 'image/png' },
        isBase64Encoded: true, body: Buffer.from(event.httpMethod + event.path + event.body).toString('base64') })`,
    },
    path: '/p',
    call: { method: 'PUT', body: Buffer.from([0xff, 0x00]) },
    body: 'PUT/p/wA=',
    type: 'image/png',
    headers: { 'x-m': '1, 2' },
  },
  {
    title: 'Lambda: a result without statusCode',
    files: { 'index.mjs': 'export const handler = async () => ({ ok: true })' },
    body: '{"ok":true}',
    type: 'application/json',
  },
  {
    title: 'Lambda: callback form',
    files: {
      'index.js': 'exports.handler = (e, c, done) => { setTimeout(() => done(null, "cb"), 1) }',
    },
    body: 'cb',
  },
  {
    title: 'Lambda: a wrong content-length does not break the connection',
    files: {
      'index.mjs':
        'export const handler = () => ({ statusCode: 200, headers: { "Content-Length": "99" }, body: "x" })',
    },
    body: 'x',
    headers: { 'content-length': '1' },
  },
  {
    title: 'Lambda: a statusCode that is none',
    files: { 'index.mjs': 'export const handler = () => ({ statusCode: "oops" })' },
    status: 500,
  },
  {
    title: 'Lambda: a body over its limit',
    files: { 'index.mjs': 'export const handler = () => "never"' },
    call: { method: 'POST', body: Buffer.alloc(6 * 1024 * 1024 + 1) },
    status: 413,
  },
];

describe('shapes and answers', () => {
  for (const row of ROWS) {
    it(row.title, async (t) => {
      const guest = await ready(start(t, row.files));
      const answer = await guest.call(row.path ?? '/', row.call);
      assert.equal(answer.status, row.status ?? 200, answer.body + guest.stderr());
      if (typeof row.body === 'string') assert.equal(answer.body, row.body);
      if (row.body instanceof RegExp) assert.match(answer.body, row.body);
      if (row.type !== undefined) assert.equal(answer.headers['content-type'], row.type);
      assert.equal(answer.headers['x-hearth-error-type'], undefined);
      for (const [name, value] of Object.entries(row.headers ?? {})) {
        assert.deepEqual(answer.headers[name], value, name);
      }
    });
  }

  it('HEARTH_HANDLER wins over every rule', async (t) => {
    const files = {
      'index.mjs': 'export default () => "no"',
      'src/x.mjs': 'export default () => "x"',
    };
    const guest = await ready(start(t, files, { HEARTH_HANDLER: 'src/x.mjs' }));
    assert.equal((await guest.call('/')).body, 'x');
  });
});

describe('starts that fail', () => {
  const rows: [string, Record<string, string>, RegExp, RegExp, Record<string, string>?][] = [
    ['no file', {}, /^HandlerInvalid$/, /^no handler in .*looked for index, handler, app/],
    [
      'wrong HEARTH_HANDLER',
      {},
      /HandlerInvalid/,
      /handler "x.js" is not a file/,
      { HEARTH_HANDLER: 'x.js' },
    ],
    [
      'wrong exports',
      { 'index.mjs': 'export default 3; export const greet = () => 1;' },
      /HandlerInvalid/,
      /"index.mjs" exports nothing that can be called: it exports "default" \(number\) and "greet" \(function\); expected/,
    ],
    [
      'nothing',
      { 'index.mjs': 'console.log(1)' },
      /HandlerInvalid/,
      /exports nothing and listens nowhere/,
    ],
    ['empty CommonJS', { 'index.js': '' }, /HandlerInvalid/, /exports nothing and listens nowhere/],
    [
      'waits for ever',
      { 'index.mjs': 'await new Promise(() => {})' },
      /HandlerInvalid/,
      /waits for ever/,
    ],
    [
      'throws',
      { 'index.mjs': 'export default 1;\nthrow new TypeError("boom")' },
      /^TypeError$/,
      /^boom$/,
    ],
    ['throws text', { 'index.mjs': 'throw "boom"' }, /^Error$/, /threw "boom"/],
    [
      'syntax',
      { 'index.mjs': 'export default () => {\n  return (;\n}' },
      /^SyntaxError$/,
      /^Unexpected token ';' \(index\.mjs:2\)$/,
    ],
    [
      'syntax of another module',
      { 'index.mjs': 'import "./lib/x.mjs"; export default 1', 'lib/x.mjs': '\n\nlet = ;' },
      /^SyntaxError$/,
      /\(x\.mjs:3\)$/,
    ],
    [
      'a name that is not exported',
      { 'index.mjs': 'import { nope } from "node:fs"' },
      /^SyntaxError$/,
      /does not provide an export named 'nope' \(index\.mjs:1\)$/,
    ],
    [
      'syntax of a CommonJS file',
      { 'index.cjs': 'module.exports = () => {\n  return (;\n}' },
      /^SyntaxError$/,
      /\(index\.cjs:2\)$/,
    ],
    [
      'missing module',
      { 'index.mjs': 'import "left-pad"' },
      /^Error$/,
      /Cannot find package 'left-pad'/,
    ],
    ['bad package.json', { 'package.json': '{' }, /HandlerInvalid/, /package.json is not JSON/],
    [
      'missing main',
      { 'package.json': '{"main":"gone.js"}' },
      /HandlerInvalid/,
      /package.json names "gone.js", which is not there/,
    ],
    [
      'rejects aside',
      {
        'index.mjs':
          'Promise.reject(new Error("aside")); await new Promise((r) => setTimeout(r, 99))',
      },
      /^Error$/,
      /aside/,
    ],
  ];
  for (const [title, files, name, message, env] of rows) {
    it(title, async (t) => {
      const guest = start(t, files, env);
      const status = await guest.status;
      assert.equal(status.ready, false);
      assert.match(status.error?.name ?? '', name);
      assert.match(status.error?.message ?? '', message);
      assert.doesNotMatch(status.error?.stack ?? '', /node:internal|guest\/node/);
      assert.deepEqual(await guest.exited, { code: 1, signal: null });
      assert.notEqual(guest.stderr(), '');
    });
  }

  it("the stack keeps the line of the user's file", async (t) => {
    const files = { 'index.mjs': 'function f() {\n  null.x;\n}\nf();' };
    const status = await start(t, files).status;
    assert.match(status.error?.stack ?? '', /app\/index\.mjs:2:8/);
  });
});

describe('serving', () => {
  it('streams the answer as it comes and the request as it is sent', async (t) => {
    const files = {
      'index.mjs': `export default (request) => new Response((async function* () {
        const decoder = new TextDecoder();
        for await (const chunk of request.body) yield new TextEncoder().encode('<' + decoder.decode(chunk) + '>');
      })())`,
    };
    const guest = await ready(start(t, files));
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
    const guest = await ready(start(t, files));
    await assert.rejects(guest.call('/', { headers: { 'x-call-id': 'c-5' } }));
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
    const guest = await ready(start(t, files));
    const call = request({ socketPath: guest.socketPath, path: '/', agent: false });
    call.on('error', () => {});
    call.end();
    await new Promise((resolve) => call.once('response', (r) => r.once('data', resolve)));
    call.destroy();
    while (!guest.stdout().includes('finally')) await new Promise((r) => setTimeout(r, 5));
    assert.match(guest.stdout(), /abort AbortError/);
  });

  it('aborts the signal at the deadline', async (t) => {
    const files = {
      'index.mjs': `export default (request, { signal }) => new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve(signal.reason.name)); setTimeout(() => {}, 60000) })`,
    };
    const guest = await ready(start(t, files));
    const headers = { 'x-deadline-ms': String(Date.now() + 20) };
    assert.equal((await guest.call('/', { headers })).body, 'TimeoutError');
  });

  it('keeps a connection for many calls', async (t) => {
    const guest = await ready(start(t, { 'index.mjs': 'export default () => new Response("ok")' }));
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
    const guest = await ready(start(t, files));
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
    const guest = await ready(start(t, { 'index.mjs': 'export default () => "x"' }));
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
    const guest = await ready(start(t, files));
    await guest.call('/').catch(() => {});
    assert.deepEqual(await guest.exited, { code: 1, signal: null });
    assert.match(guest.stderr(), /Error: late\n\s+at .*index\.mjs/);
  });

  it('prints console lines as they are and logger lines as JSON with the call id', async (t) => {
    const files = {
      'index.mjs': `export default (r, { logger }) => { console.log('plain', 1);
        logger.info('said', { n: 2, big: 3n, error: new Error('e') }); return '' }`,
    };
    const guest = await ready(start(t, files));
    await guest.call('/', { headers: { 'x-call-id': 'c-7' } });
    const [plain, json] = guest.stdout().split('\n');
    assert.equal(plain, 'plain 1');
    const line = JSON.parse(json ?? '') as Record<string, unknown>;
    assert.equal(line.callId, 'c-7');
    assert.equal(line.msg, 'said');
    assert.equal(line.n, 2);
    assert.equal(line.big, '3');
  });

  it('refuses what is no HTTP and goes on', async (t) => {
    const guest = await ready(start(t, { 'index.mjs': 'export default () => "ok"' }));
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
