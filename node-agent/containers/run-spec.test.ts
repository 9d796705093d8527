import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageConfig } from '../../lib/oci/types.ts';
import { parseRunRequest } from '../api/parse-run-request.ts';
import { findOne } from './find-one.ts';
import { runSpecOf } from './run-spec.ts';

function specOf(body: object, config: NonNullable<ImageConfig['config']> = {}) {
  return runSpecOf(parseRunRequest({ image: 'x', ...body }), {
    id: 'c-1',
    name: 'one',
    config: {
      os: 'linux',
      architecture: 'amd64',
      config,
      rootfs: { type: 'layers', diff_ids: [] },
    },
    layers: ['/l'],
    account: { user: { uid: 0, gid: 0, groups: [] }, home: '/root' },
    resolvConf: '',
    writable: 'disk',
  });
}

const IMAGE = { Entrypoint: ['/run'], Cmd: ['-v'], Env: ['PATH=/x', 'A=image', 'BAD'] };

test('a command replaces Cmd; an entrypoint replaces both', () => {
  assert.deepEqual(specOf({}, IMAGE).argv, ['/run', '-v']);
  assert.deepEqual(specOf({ command: ['-q'] }, IMAGE).argv, ['/run', '-q']);
  assert.deepEqual(specOf({ command: [] }, IMAGE).argv, ['/run']);
  assert.deepEqual(specOf({ entrypoint: ['/sh'] }, IMAGE).argv, ['/sh']);
  assert.deepEqual(specOf({ entrypoint: ['/sh'], command: ['-c'] }, IMAGE).argv, ['/sh', '-c']);
  assert.deepEqual(specOf({ entrypoint: [], command: ['ls'] }, IMAGE).argv, ['ls']);
  assert.throws(() => specOf({}), { code: 'EntrypointNotFound', message: /names no program/ });
});

test('variables: defaults below the image’s below those given', () => {
  const { env } = specOf({ env: { A: 'given', B: '2' } }, IMAGE);
  assert.deepEqual(env, ['PATH=/x', 'HOSTNAME=one', 'A=given', 'B=2', 'HOME=/root']);
  assert.ok(specOf({ env: { HOME: '/h' } }, IMAGE).env.includes('HOME=/h'));
});

test('on a network with names a container is known by its own, whatever its host name', () => {
  assert.equal(specOf({ network: 'n' }, IMAGE).hostname, 'one');
  assert.deepEqual(specOf({ network: 'n' }, IMAGE).aliases, undefined);
  assert.deepEqual(specOf({ network: 'n', hostname: 'h', aliases: ['db'] }, IMAGE).aliases, [
    'db',
    'one',
  ]);
  assert.equal(specOf({ hostname: 'h' }, IMAGE).aliases, undefined);
});

test('labels are those given and the name; swap of 0 is no swap', () => {
  const spec = specOf({ labels: { a: 'b' }, swapBytes: 0 }, { ...IMAGE, Labels: { c: 'd' } });
  assert.deepEqual(spec.labels, { a: 'b', 'hearth.name': 'one' });
  assert.equal('swapBytes' in spec.resources, false);
  assert.equal(spec.capabilities.length, 14);
});

test('ids, names and starts of ids find one; several are told apart', () => {
  const all = [
    { id: 'c-aa1', name: 'x' },
    { id: 'c-aa2', name: 'c-a' },
    { id: 'i-b', name: 'i-b' },
  ];
  assert.equal(findOne('c-aa1', all).name, 'x');
  assert.equal(findOne('x', all).id, 'c-aa1');
  assert.equal(findOne('c-a', all).id, 'c-aa2');
  assert.equal(findOne('i', all).id, 'i-b');
  assert.throws(() => findOne('c', all), {
    code: 'Conflict',
    message: '2 containers have ids that start with "c"',
    hint: 'they are c-aa1, c-aa2',
  });
  for (const text of ['', 'nope']) assert.throws(() => findOne(text, all), { code: 'NotFound' });
});
