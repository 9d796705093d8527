import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayHoldSecret, secretIn } from './secret-check.ts';

test('secretIn() counts keys of .env that look like secrets', () => {
  assert.ok(mayHoldSecret('config/.env.production'));
  assert.equal(secretIn('.env', 'DB_PASSWORD=x\nAPI_KEY=y\nPORT=1\n'), '2 keys look like secrets');
  assert.equal(secretIn('.env', 'PORT=1\n'), undefined);
});

test('secretIn() knows keys and logins', () => {
  assert.equal(secretIn('.ssh/id_rsa', ''), 'it is a private key');
  assert.equal(secretIn('a.pem', '-----BEGIN EC PRIVATE KEY-----'), 'it is a private key');
  assert.equal(secretIn('ca.pem', '-----BEGIN CERTIFICATE-----'), undefined);
  assert.equal(secretIn('.npmrc', '//r/:_authToken=abc'), 'it holds a login');
});

test('mayHoldSecret() leaves samples and sources alone', () => {
  for (const path of ['.env.example', 'index.js', 'environment.ts']) {
    assert.equal(mayHoldSecret(path), false, path);
  }
});
