import { join } from 'node:path';
import { describe } from 'node:test';
import { type AnswerRow, answerTests } from '../testing/answer-row.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, 'main.js')];

const ROWS: AnswerRow[] = [
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

describe('the Lambda form', () => answerTests(COMMAND, ROWS));
