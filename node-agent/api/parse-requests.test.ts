import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HearthError } from '../../lib/errors.ts';
import {
  parseDrainRequest,
  parsePrepareRequest,
  parseReleasedRequest,
  parseStartRequest,
} from './parse-requests.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const GOOD = {
  functionName: 'hello',
  revisionId: 'hello-00001',
  image: { repository: 'functions/hello', digest: DIGEST },
  contract: 'port',
  reason: 'rollout',
  port: 8080,
  env: { A: 'b' },
  memoryBytes: 256 * 1024 * 1024,
  cpuMillis: 1000,
  pids: 128,
  timeoutMs: 30_000,
  startTimeoutMs: 10_000,
  graceMs: 0,
  concurrency: 50,
};

test('a good start is taken as it is; unknown fields are left out', () => {
  assert.deepEqual(parseStartRequest({ ...GOOD, surprise: 1 }), GOOD);
});

test('what its containers are given is taken along', () => {
  const keys = {
    diskBytes: 2 ** 20,
    volumes: ['a:/b'],
    tmpfs: { '/run': 4096 },
    ociRuntime: 'runc',
  };
  assert.deepEqual(parseStartRequest({ ...GOOD, ...keys }), { ...GOOD, ...keys });
});

const BAD: [string, object, RegExp][] = [
  ['revision', { revisionId: '../x' }, /revisionId must match/],
  ['repository', { image: { repository: '../../etc', digest: DIGEST } }, /image must be/],
  ['digest', { image: { repository: 'a', digest: 'sha256:12' } }, /image must be/],
  ['contract', { contract: 'fd' }, /contract must be socket or port: current value is "fd"/],
  ['port', { port: '8080' }, /port must be an integer from 1 to 65535: current value is "8080"/],
  ['memory', { memoryBytes: 1 }, /memoryBytes must be an integer from/],
  ['concurrency', { concurrency: 1.5 }, /concurrency must be .*: current value is 1.5/],
  ['env name', { env: { 'A=B': 'x' } }, /env name "A=B" is no name/],
  ['env value', { env: { A: 'x\0y' } }, /env A must be a text/],
  ['env size', { env: { A: 'x'.repeat(5_000) } }, /env is 5003 bytes, limit 4096/],
  ['mount', { volumes: ['data'] }, /volumes\[0\] must be VOLUME:TARGET/],
  ['egress', { egress: ['x'] }, /egress\[0\] must be an IPv4 network/],
  ['disk', { diskBytes: 1 }, /diskBytes must be an integer from/],
  ['runtime', { ociRuntime: '../runc' }, /ociRuntime must match/],
  ['env kind', { env: ['A'] }, /the body must be a JSON object/],
];

for (const [what, change, message] of BAD) {
  test(`a start with a bad ${what} is refused`, () => {
    assert.throws(() => parseStartRequest({ ...GOOD, ...change }), { code: 'BadRequest', message });
  });
}

test('a bad function name has its own code', () => {
  assert.throws(() => parseStartRequest({ ...GOOD, functionName: '../x' }), {
    code: 'NameInvalid',
  });
});

test('drain, release, prepare', () => {
  assert.deepEqual(parseDrainRequest({}), { reason: 'asked' });
  assert.deepEqual(parseDrainRequest({ reason: 'idle', timeoutMs: 5 }), {
    reason: 'idle',
    timeoutMs: 5,
  });
  assert.throws(() => parseDrainRequest({ timeoutMs: -1 }), { code: 'BadRequest' });
  assert.deepEqual(parseReleasedRequest({ gateway: 'g1' }), { gateway: 'g1' });
  assert.throws(() => parseReleasedRequest({ gateway: 1 }), { code: 'BadRequest' });
  assert.throws(() => parsePrepareRequest({}), { code: 'BadRequest' });
});

test('whatever the body is, the answer is a 4xx', () => {
  const parsers = [parseStartRequest, parseDrainRequest, parseReleasedRequest, parsePrepareRequest];
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...parsers), (body, parse) => {
      try {
        parse(body);
      } catch (error) {
        assert.ok(error instanceof HearthError && error.status < 500);
      }
    }),
  );
});
