import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { parseTarget } from './target.ts';

const GOOD: readonly [string, string, string][] = [
  ['/function/hello', 'hello', '/'],
  ['/function/hello/', 'hello', '/'],
  ['/function/hello?q=1', 'hello', '/?q=1'],
  ['/function/hello?q=/a/b', 'hello', '/?q=/a/b'],
  ['/function/hello/a/b?q=1', 'hello', '/a/b?q=1'],
  ['/function/hello//a', 'hello', '//a'],
  ['/function/hello/%2e%2e/%2f?%', 'hello', '/%2e%2e/%2f?%'],
  ['/function/hello/../../v1/functions', 'hello', '/../../v1/functions'],
  ['/function/hello/%zz', 'hello', '/%zz'],
  ['/function/h%65llo/x', 'hello', '/x'],
];

for (const [url, name, path] of GOOD) {
  test(`parseTarget() splits ${url}`, () => assert.deepEqual(parseTarget(url), { name, path }));
}

const BAD = [
  '/function/',
  '/function//hello',
  '/function/a%2fb',
  '/function/a%2Fb/c',
  '/function/a%252fb',
  '/function/%',
  '/function/..',
  '/function/%2e%2e/x',
  '/function/A',
  '/function/a.b',
  '/function/a;b',
  '/function/a%00',
  '/function/a%0a',
  '/function/%c0%af',
  '/function/__proto__',
  '/function/constructor',
  `/function/${'a'.repeat(64)}`,
];

for (const url of BAD) {
  test(`parseTarget() refuses ${url}`, () => {
    assert.throws(
      () => parseTarget(url),
      (error) => error instanceof HearthError && error.code === 'NameInvalid',
    );
  });
}
