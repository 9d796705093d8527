import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { spawnGuest } from '../testing/spawn-guest.ts';
import { type FailureRow, failureTests } from '../testing/start-failure.ts';

const COMMAND = [process.execPath, join(import.meta.dirname, 'main.js')];

const ROWS: FailureRow[] = [
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

describe('starts that fail', () => {
  failureTests(COMMAND, ROWS, /node:internal|guest\/node/);

  it("the stack keeps the line of the user's file", async (t) => {
    const files = { 'index.mjs': 'function f() {\n  null.x;\n}\nf();' };
    const status = await spawnGuest(t, { command: COMMAND, files }).status;
    assert.match(status.error?.stack ?? '', /app\/index\.mjs:2:8/);
  });
});
