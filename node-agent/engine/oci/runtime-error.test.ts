import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeError } from './runtime-error.ts';

const failure = { step: 'runtime', errno: 'ERR', message: 'exit code 1' };

function errorOf(log: string, program = '/app/run') {
  return runtimeError(failure, { runtime: 'runc', log, program });
}

/** Words of runc 1.1, runc 1.2 and crun 1.8. */
const SAID: readonly [string, string, string][] = [
  [
    'runc create failed: unable to start container process: exec: "/app/run": stat /app/run: no such file or directory',
    'EntrypointNotFound',
    '/app/run: not found in image',
  ],
  [
    'unable to start container process: error during container init: exec: "/app/run": permission denied',
    'EntrypointNotFound',
    '/app/run: permission denied',
  ],
  [
    'exec /app/run: exec format error',
    'ExecFormat',
    '/app/run: not a program this machine can execute',
  ],
  [
    'open executable `/app/run` for exec: No such file or directory',
    'EntrypointNotFound',
    '/app/run: not found in image',
  ],
  [
    'unable to apply cgroup configuration: mkdir /sys/fs/cgroup/x: read-only file system',
    'StartFailed',
    'cannot start: runtime "runc": unable to apply cgroup configuration: mkdir …: read-only file system',
  ],
];

for (const [msg, code, message] of SAID) {
  test(`"${msg.slice(0, 60)}" is ${code}`, () => {
    const error = errorOf(
      `{"level":"warning","msg":"x"}\n${JSON.stringify({ level: 'error', msg })}\n`,
    );
    assert.deepEqual([error.code, error.message], [code, message]);
    assert.ok(error.hint);
  });
}

test('a name that PATH does not have is not found in it', () => {
  const line = JSON.stringify({
    level: 'error',
    msg: 'exec: "run": executable file not found in $PATH',
  });
  assert.equal(errorOf(line, 'run').message, 'run: not found in PATH of the image');
});

test('a runtime that said nothing, or no JSON, is quoted all the same', () => {
  assert.equal(errorOf('').message, 'cannot start: runtime "runc": exit code 1');
  assert.equal(errorOf('panic: boom\n').message, 'cannot start: runtime "runc": panic: boom');
});

test('what a runtime says is bounded and has no control characters', () => {
  const { message } = errorOf(
    JSON.stringify({ level: 'error', msg: `a\u001b[31m${'x'.repeat(9999)}` }),
  );
  assert.ok(message.length < 500);
  assert.ok(!/\p{Cc}/u.test(message));
});
