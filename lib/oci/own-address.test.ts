import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNamedLocal, isOwnAddress } from './own-address.ts';

test('loopback, link-local and metadata are this machine’s own, private networks are not', () => {
  const own =
    '127.0.0.1 127.9.9.9 0.0.0.0 169.254.169.254 168.63.129.16 ::1 :: fe80::1 fe80::1%eth0 ' +
    'fd00:ec2::254 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe';
  for (const address of own.split(' ')) assert.equal(isOwnAddress(address), true, address);
  for (const address of '10.0.0.1 192.168.1.1 172.16.0.1 8.8.8.8 fd00::1 2001:db8::1'.split(' ')) {
    assert.equal(isOwnAddress(address), false, address);
  }
  assert.equal(isOwnAddress('not an address'), false);
});

test('a host is local only by its plain names', () => {
  for (const name of ['localhost', '127.0.0.1', '[::1]']) assert.equal(isNamedLocal(name), true);
  for (const name of ['localhost.evil', '127.0.0.1.evil', 'r.example', '169.254.169.254']) {
    assert.equal(isNamedLocal(name), false, name);
  }
});
