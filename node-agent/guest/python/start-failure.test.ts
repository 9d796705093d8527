import { join } from 'node:path';
import { describe } from 'node:test';
import { packageRoot } from '../../../lib/paths.ts';
import { type FailureRow, failureTests } from '../testing/start-failure.ts';

const COMMAND = ['python3', join(packageRoot, 'node-agent/guest/python/main.py')];

const ROWS: FailureRow[] = [
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
  ['missing module', { 'app.py': 'import nosuchmodule' }, /^ModuleNotFoundError$/, /nosuchmodule/],
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

describe('starts that fail', () => {
  failureTests(COMMAND, ROWS, /hearth_guest|frozen importlib/);
});
