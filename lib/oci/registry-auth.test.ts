import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenge, parseToken, tokenUrl } from './registry-auth.ts';

test('challenges are read with quoted values, Bearer before Basic', () => {
  const bearer = 'Bearer realm="https://h/token",service="s v",scope="repository:a:pull,push"';
  assert.deepEqual(parseChallenge(bearer), {
    scheme: 'bearer',
    parameters: { realm: 'https://h/token', service: 's v', scope: 'repository:a:pull,push' },
  });
  assert.equal(parseChallenge(['Basic realm="x"', bearer])?.scheme, 'bearer');
  assert.equal(parseChallenge('basic realm=x')?.scheme, 'basic');
  for (const none of [undefined, '', 'Negotiate', 'Bearerx realm="y"']) {
    assert.equal(parseChallenge(none), undefined);
  }
});

test('a token is asked for by service, scope and account', () => {
  const challenge = parseChallenge('Bearer realm="https://h/token?x=1",service="svc"');
  assert.ok(challenge !== undefined);
  const registry = new URL('https://r');
  const url = tokenUrl(challenge, { registry, scope: 'repository:a:pull', account: 'al' });
  assert.equal(url?.href, 'https://h/token?x=1&service=svc&scope=repository%3Aa%3Apull&account=al');
});

test('credentials are not sent from TLS into the clear, or to no URL', () => {
  for (const realm of ['http://h/token', 'file:///x', 'nonsense']) {
    const challenge = { scheme: 'bearer', parameters: { realm } } as const;
    assert.equal(tokenUrl(challenge, { registry: new URL('https://r') }), undefined, realm);
  }
});

test('a token lives as long as it says, 60 seconds without a word', () => {
  assert.deepEqual(parseToken({ token: 'a', expires_in: 300 }, 1000), {
    token: 'a',
    expiresMs: 291_000,
  });
  assert.deepEqual(parseToken({ access_token: 'b' }, 0), { token: 'b', expiresMs: 50_000 });
  for (const none of [null, {}, { token: '' }, { token: 1 }, 'x']) {
    assert.equal(parseToken(none, 0), undefined);
  }
});
