import { join } from 'node:path';
import { describe } from 'node:test';
import { type AnswerRow, answerTests } from '../testing/answer-row.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, 'main.js')];

const ROWS: AnswerRow[] = [
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
];

describe('requests', () => answerTests(COMMAND, ROWS));
