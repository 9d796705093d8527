import { join } from 'node:path';
import { describe } from 'node:test';
import { packageRoot } from '../../../lib/paths.ts';
import { type AnswerRow, answerTests } from '../testing/answer-row.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, 'main.js')];
const FASTIFY = JSON.stringify(join(packageRoot, 'node_modules/fastify/fastify.js'));
const HELLO_CJS = 'module.exports = (request) => "cjs";';

const ROWS: AnswerRow[] = [
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
    title: 'HEARTH_HANDLER wins over every rule',
    files: {
      'index.mjs': 'export default () => "no"',
      'src/x.mjs': 'export default () => "x"',
    },
    env: { HEARTH_HANDLER: 'src/x.mjs' },
    body: 'x',
  },
];

describe('shapes and answers', () => answerTests(COMMAND, ROWS));
