import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../digest.ts';
import { formatReference, isRepository, isTag, parseReference } from './reference.ts';

const digest = sha256('x');

test('references are parsed into host, name, tag and digest', () => {
  const cases = {
    node: { repository: 'node', tag: 'latest' },
    'hearth/node:24': { repository: 'hearth/node', tag: '24' },
    'localhost/a': { host: 'localhost', repository: 'a', tag: 'latest' },
    'localhost:5000/node:99': { host: 'localhost:5000', repository: 'node', tag: '99' },
    'ghcr.io/o/r:v1.2': { host: 'ghcr.io', repository: 'o/r', tag: 'v1.2' },
    '[::1]:80/a': { host: '[::1]:80', repository: 'a', tag: 'latest' },
    [`a@${digest}`]: { repository: 'a', digest },
    [`h.x/a:t@${digest}`]: { host: 'h.x', repository: 'a', tag: 't', digest },
  };
  for (const [text, expected] of Object.entries(cases)) {
    assert.deepEqual(parseReference(text), expected, text);
  }
});

test('what is no reference is refused with the text', () => {
  const bad = ['', 'A', 'a:', ':a', 'a//b', '/a', 'a/', 'a b', 'a:b:c', '../x', 'a@b', 'a\n'];
  const more = [`a@${digest}@${digest}`, 'a:t\n', `a:${'t'.repeat(129)}`, 'x'.repeat(600), 'h.x/'];
  for (const text of [...bad, ...more, '-h.x/a', 'a@sha256:abc', 'h.x:port/a', 'ü']) {
    assert.throws(() => parseReference(text), { code: 'BadRequest' }, text);
  }
});

test('a formatted reference is parsed to itself', () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,8}([._-][a-z0-9]{1,8})?$/);
  const reference = fc.record(
    {
      host: fc.constantFrom('localhost', 'a.b', 'h:1', 'Upper.Case:443'),
      repository: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      tag: fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/),
      digest: fc.string().map(sha256),
    },
    { requiredKeys: ['repository', 'tag'] },
  );
  fc.assert(
    fc.property(reference, (value) => {
      // Without a host, a first component that looks like one is one.
      fc.pre('host' in value || !/^(localhost|[^/]*\.[^/]*)\//.test(value.repository));
      assert.deepEqual(parseReference(formatReference(value)), { ...value });
    }),
  );
});

test('names and tags are those of the distribution API', () => {
  for (const name of ['a', 'a/b', 'a__b', 'a--b', 'a.b']) assert.ok(isRepository(name), name);
  for (const name of ['', 'a___b', 'a..b', '-a', 'a-', 'a/', 'A', 'a\n', 'x'.repeat(256)]) {
    assert.ok(!isRepository(name), name);
  }
  assert.ok(isTag('_v1.0-rc') && !isTag('.a') && !isTag('') && !isTag('a\n'));
});
