import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detectRuntime } from './detect-runtime.ts';

test('detectRuntime() puts a Dockerfile before Node before Python', () => {
  assert.equal(detectRuntime(['Dockerfile', 'package.json'], 'Dockerfile'), 'dockerfile');
  assert.equal(detectRuntime(['package.json', 'a.py'], 'Dockerfile'), 'node');
  assert.equal(detectRuntime(['index.mjs'], 'Dockerfile'), 'node');
  assert.equal(detectRuntime(['requirements.txt'], 'Dockerfile'), 'python');
  assert.equal(detectRuntime(['handler.py'], 'Dockerfile'), 'python');
  assert.equal(detectRuntime(['README.md'], 'Dockerfile'), undefined);
  assert.equal(detectRuntime([], 'Dockerfile'), undefined);
});
