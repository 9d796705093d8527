import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ignoresSigterm } from './signal-mask.ts';

function status(nsPid: string, sigCgt: string): string {
  return `Name:\tx\nNSpid:\t${nsPid}\nSigCgt:\t${sigCgt}\nCapInh:\t0\n`;
}

test('only the first process of a namespace without a handler ignores SIGTERM', () => {
  assert.equal(ignoresSigterm(status('4711\t1', '0000000000000000')), true);
  assert.equal(ignoresSigterm(status('4711\t1', '0000000000004000')), false);
  assert.equal(ignoresSigterm(status('4711\t1', '00000001ffffbfff')), true);
  assert.equal(ignoresSigterm(status('4711\t7', '0000000000000000')), false);
  assert.equal(ignoresSigterm(status('4711', '0000000000000000')), false);
});

test('what cannot be read ignores nothing', () => {
  assert.equal(ignoresSigterm(''), false);
  assert.equal(ignoresSigterm(readFileSync('/proc/self/status', 'utf8')), false);
});
