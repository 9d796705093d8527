import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingPackageHint } from './missing-package.ts';

test('missingPackageHint() knows how Node and Python say it, and leaves own files alone', () => {
  const hints: [string, RegExp | undefined][] = [
    ["Cannot find package 'express' imported from /app/index.js", /^add "express" to dep/],
    ["Cannot find module '@a/b'\nRequire stack:\n- /app/index.js", /^add "@a\/b" to dep/],
    ["No module named 'flask'", /"flask" to requirements\.txt$/],
    ["Cannot find module './own.js'", undefined],
    ["Cannot find module '/app/own.mjs' imported from /app/index.mjs", undefined],
    ['x is not a function', undefined],
  ];
  for (const [message, expected] of hints) {
    const hint = missingPackageHint(message);
    if (expected === undefined) assert.equal(hint, undefined, message);
    else assert.match(hint ?? '', expected, message);
  }
});
