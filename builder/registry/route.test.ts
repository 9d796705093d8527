import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../../lib/digest.ts';
import { pageOf, parseChunkStart, parseRange } from './content-range.ts';
import { RegistryProblem } from './problem.ts';
import { parseRoute } from './route.ts';

const digest = sha256('x');
const id = '01234567-89ab-cdef-0123-456789abcdef';

test('paths name endpoints; a repository may have the words of an endpoint', () => {
  const cases: Record<string, unknown> = {
    '/v2': { kind: 'ping' },
    '/v2/': { kind: 'ping' },
    '/v2/_catalog': { kind: 'catalog' },
    [`/v2/a/b/blobs/${digest}`]: { kind: 'blob', repository: 'a/b', digest },
    [`/v2/a/blobs/${digest.replace(':', '%3A')}`]: { kind: 'blob', repository: 'a', digest },
    '/v2/a/blobs/uploads/': { kind: 'uploads', repository: 'a' },
    '/v2/a/blobs/uploads': { kind: 'uploads', repository: 'a' },
    [`/v2/a/blobs/uploads/${id}`]: { kind: 'upload', repository: 'a', id },
    '/v2/a/manifests/v1': { kind: 'manifest', repository: 'a', reference: { tag: 'v1' } },
    [`/v2/a/manifests/${digest}`]: { kind: 'manifest', repository: 'a', reference: { digest } },
    '/v2/a/manifests/manifests/b': {
      kind: 'manifest',
      repository: 'a/manifests',
      reference: { tag: 'b' },
    },
    '/v2/tags/list/tags/list': { kind: 'tags', repository: 'tags/list' },
    [`/v2/a/referrers/${digest}`]: { kind: 'referrers', repository: 'a', digest },
  };
  for (const [path, route] of Object.entries(cases))
    assert.deepEqual(parseRoute(path), route, path);
  for (const path of ['/', '/v1/', '/v2/a', '/v2/a/b', '/v3/a/tags/list']) {
    assert.equal(parseRoute(path), undefined, path);
  }
});

test('whatever the path, a route names no folder above', () => {
  const word = fc.constantFrom(
    'a',
    '..',
    '.',
    '',
    'blobs',
    'uploads',
    'manifests',
    'tags',
    '%2e%2e',
    digest,
    id,
    'A',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      try {
        const route = parseRoute(`/v2/${words.join('/')}`);
        const text = JSON.stringify(route ?? {});
        assert.ok(!text.includes('..') && !text.includes('%') && !text.includes('"repository":""'));
      } catch (error) {
        assert.ok(error instanceof RegistryProblem, String(error));
      }
    }),
  );
});

test('ranges are read as RFC 9110 says', () => {
  const cases: [string | undefined, unknown][] = [
    [undefined, undefined],
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=5-', { start: 5, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-30', { start: 0, end: 9 }],
    ['bytes=2-100', { start: 2, end: 9 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=5-4', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=-', undefined],
    ['bytes=0-1,3-4', undefined],
    ['lines=0-1', undefined],
  ];
  for (const [header, range] of cases) assert.deepEqual(parseRange(header, 10), range, header);
  assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
});

test('a chunk says where it starts', () => {
  assert.equal(parseChunkStart(undefined), undefined);
  assert.equal(parseChunkStart('10-20'), 10);
  assert.equal(parseChunkStart('bytes 0-5/*'), 0);
  for (const bad of ['x', '5-', '-5', '']) assert.equal(parseChunkStart(bad), 'invalid', bad);
});

test('pages are in order, and the last has no next', () => {
  const names = ['a', 'b', 'c'];
  assert.deepEqual(pageOf(names, {}), { names, more: false });
  assert.deepEqual(pageOf(names, { limit: 2 }), { names: ['a', 'b'], more: true });
  assert.deepEqual(pageOf(names, { limit: 2, last: 'b' }), { names: ['c'], more: false });
  assert.deepEqual(pageOf(names, { limit: 0 }), { names: [], more: false });
});
