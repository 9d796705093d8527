import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HearthError } from '../errors.ts';
import { parseDockerignore } from './dockerignore.ts';

/** [text, excluded paths, kept paths] */
const CASES: [string, string[], string[]][] = [
  ['node_modules', ['node_modules', 'node_modules/a/b.js'], ['a/node_modules', 'node_modules2']],
  ['**/node_modules', ['node_modules/x', 'a/b/node_modules/x'], ['a/xnode_modules']],
  ['**foo', ['foo', 'a/barfoo'], ['foob']],
  ['*.md\n!README.md', ['a.md'], ['README.md', 'docs/a.md']],
  ['!README.md\n*.md', ['README.md'], []],
  ['docs\n!docs/keep.md', ['docs', 'docs/x.md'], ['docs/keep.md', 'docs/keep.md/x']],
  ['/build/', ['build', 'build/a'], ['a/build']],
  ['a/**', ['a/b', 'a/b/c'], ['a', 'ab']],
  ['a/**/z', ['a/z', 'a/b/c/z'], ['az', 'a/bz']],
  ['**', ['a', 'a/b'], []],
  ['*', ['a', '.env', 'a/b'], []],
  ['**/*.log', ['x.log', 'a/b/x.log'], ['x.logs', 'xlog']],
  ['?.txt', ['a.txt', 'é.txt'], ['ab.txt', '.txt']],
  ['[a-c].txt\n[^x]y', ['b.txt', 'ay'], ['d.txt', 'xy']],
  ['\\*.txt', ['*.txt'], ['a.txt']],
  ['\uFEFFsecret', ['secret'], []],
  ['one\r\ntwo   \r\n\t three\r\n', ['one', 'two', 'three'], ['one\r']],
  ['#comment\n #notcomment', ['#notcomment'], ['#comment']],
  ['a//b/../c', ['a/c'], ['a/b']],
  ['.', [], ['a', '.env']],
  ['! keep\n', [], ['keep']],
  ['a.c', ['a.c'], ['abc']],
  ['a+(b)|{c}$', ['a+(b)|{c}$'], ['ab']],
  ['*a.c', ['xa.c'], ['xabc']],
  ['*.js\n!important.js\n**/important*', ['important.js', 'a/important.js'], ['x/a.js']],
];

test('parseDockerignore() excludes as Docker does', () => {
  for (const [text, excluded, kept] of CASES) {
    const isExcluded = parseDockerignore(text);
    for (const path of excluded) assert.equal(isExcluded(path), true, `${text} excludes ${path}`);
    for (const path of kept) assert.equal(isExcluded(path), false, `${text} keeps ${path}`);
  }
});

test('parseDockerignore() says whether a directory may be pruned', () => {
  assert.equal(parseDockerignore('a\nb').hasExceptions, false);
  assert.equal(parseDockerignore('a\n!a/b').hasExceptions, true);
});

test('parseDockerignore() refuses malformed patterns with the line', () => {
  for (const bad of ['!', '[a', 'x\\', '[]', '[-a]', '[a-]']) {
    assert.throws(
      () => parseDockerignore(`ok\n${bad}\n`),
      (error) => error instanceof HearthError && /^\.dockerignore:2: /.test(error.message),
      bad,
    );
  }
});

test('parseDockerignore() answers hostile patterns in bounded time', () => {
  const isExcluded = parseDockerignore(`${'**/a*'.repeat(200)}b`);
  assert.equal(isExcluded('a/'.repeat(1000)), false);
});

test('parseDockerignore() throws only typed errors', () => {
  const sign = fc.constantFrom(
    '*',
    '?',
    '[',
    ']',
    '^',
    '-',
    '\\',
    '/',
    '.',
    '!',
    '#',
    'a',
    'b',
    '\n',
    ' ',
  );
  const text = fc.array(sign, { maxLength: 30 }).map((signs) => signs.join(''));
  fc.assert(
    fc.property(text, fc.string(), (rules, path) => {
      try {
        parseDockerignore(rules)(path);
      } catch (error) {
        assert.ok(error instanceof HearthError);
      }
    }),
  );
});
