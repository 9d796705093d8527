import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../../lib/limits.ts';
import { endError } from './end-error.ts';
import { exitText } from './exit-text.ts';
import { type StartSubject, startError } from './start-error.ts';

const MEMORY = { limitBytes: 256 * MIB, peakBytes: 255 * MIB };
const SUBJECT: StartSubject = {
  functionName: 'hello',
  contract: 'port',
  port: 8080,
  startTimeoutMs: 10_000,
};

test('how a process ended', () => {
  const cases: [Parameters<typeof exitText>[0], string][] = [
    [{ code: 1, oomKilled: false }, 'exited 1'],
    [{ signal: 11, oomKilled: false }, 'exited with signal SIGSEGV'],
    [{ signal: 64, oomKilled: false }, 'exited with signal 64'],
    [{ oomKilled: false }, 'exited'],
    [{ signal: 9, oomKilled: true }, 'ran out of memory (limit 256 MiB, peak 255 MiB)'],
  ];
  for (const [exit, text] of cases) assert.equal(exitText(exit, MEMORY), text);
});

test('the end of a serving instance, for a request that was in it', () => {
  assert.equal(endError({ signal: 11, oomKilled: false }, MEMORY).code, 'InstanceCrashed');
  const oom = endError({ signal: 9, oomKilled: true }, MEMORY);
  assert.equal(oom.code, 'InstanceOOM');
  assert.equal(oom.hint, 'raise memory in function.yaml');
});

test('a start that ended', () => {
  const exit = { code: 1, oomKilled: false };
  const error = startError({ kind: 'exited', exit, afterMs: 312, memory: MEMORY }, SUBJECT, ['x']);
  assert.equal(error.code, 'StartFailed');
  assert.equal(error.message, 'instance of "hello" exited 1 after 0.3 s');
  assert.deepEqual(error.details, { logTail: ['x'] });
});

test('a start that ended well is an error with a hint', () => {
  const exit = { code: 0, oomKilled: false };
  const error = startError({ kind: 'exited', exit, afterMs: 1, memory: MEMORY }, SUBJECT, []);
  assert.match(error.hint ?? '', /must keep running/);
});

test('out of memory while starting', () => {
  const exit = { signal: 9, oomKilled: true };
  const error = startError({ kind: 'exited', exit, afterMs: 1, memory: MEMORY }, SUBJECT, []);
  assert.equal(error.code, 'InstanceOOM');
  assert.equal(error.status, 422);
});

test('a program that listens elsewhere', () => {
  const listeners = [{ host: '127.0.0.1', port: 3000 }];
  const error = startError({ kind: 'silent', listeners }, SUBJECT, []);
  assert.equal(error.code, 'NotListening');
  assert.equal(error.message, 'nothing listened on 0.0.0.0:8080 within 10 s');
  assert.equal(error.hint, 'process listens on 127.0.0.1:3000; use host 0.0.0.0 and $PORT=8080');
});

test('a guest that says nonsense', () => {
  const error = startError({ kind: 'bad-status', line: 'hi' }, SUBJECT, []);
  assert.equal(error.message, 'guest of "hello" said "hi" instead of its status');
});
