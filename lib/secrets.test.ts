import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readSecret, SECRET_VARIABLES } from './secrets.ts';

function dataRoot(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-secrets-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function setVariable(t: TestContext, name: string, value: string): void {
  process.env[name] = value;
  t.after(() => delete process.env[name]);
}

test('readSecret() makes the file once, for its owner only', (t) => {
  const root = dataRoot(t);
  const made = readSecret(root, 'token');
  assert.equal(readSecret(root, 'token'), made);
  assert.equal(readFileSync(join(root, 'token'), 'utf8').trim(), made);
  assert.equal(statSync(join(root, 'token')).mode & 0o777, 0o600);
  assert.notEqual(readSecret(root, 'cluster-token'), made);
});

test('readSecret() reads an open file, again and again', (t) => {
  const root = dataRoot(t);
  const path = join(root, 'given');
  writeFileSync(path, 'by descriptor\n');
  const fd = openSync(path, 'r');
  t.after(() => closeSync(fd));
  setVariable(t, `${SECRET_VARIABLES.token}_FD`, `${fd}`);
  assert.equal(readSecret(root, 'token'), 'by descriptor');
  assert.equal(readSecret(root, 'token'), 'by descriptor');
  assert.notEqual(readSecret(root, 'cluster-token'), 'by descriptor');
});

test('readSecret() takes the variable before all else', (t) => {
  const root = dataRoot(t);
  setVariable(t, SECRET_VARIABLES['cluster-token'], 'from outside');
  setVariable(t, `${SECRET_VARIABLES['cluster-token']}_FD`, '999999');
  assert.equal(readSecret(root, 'cluster-token'), 'from outside');
});
