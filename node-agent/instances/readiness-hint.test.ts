import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListeners, readinessHint } from './readiness-hint.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const REST = '00000000:00000000 00:00000000 00000000     0        0 1510 1 0 100 0 0 10 0';

test('only sockets in state LISTEN, with address and port decoded', () => {
  const page =
    `${HEAD}   0: 0100007F:0BB8 00000000:0000 0A ${REST}\n` +
    `   1: 00000000:1F90 00000000:0000 0A ${REST}\n` +
    `   2: 0100007F:9C40 0100007F:0BB8 01 ${REST}\n`;
  assert.deepEqual(parseListeners(page), [
    { host: '127.0.0.1', port: 3000 },
    { host: '0.0.0.0', port: 8080 },
  ]);
});

test('IPv6 addresses: any, loopback, mapped, other', () => {
  const rows = [
    '00000000000000000000000000000000',
    '00000000000000000000000001000000',
    '0000000000000000FFFF00000100007F',
    'B80D0120000000000000000001000000',
  ];
  const page = HEAD + rows.map((a, i) => `   ${i}: ${a}:1F90 ${a}:0000 0A ${REST}`).join('\n');
  assert.deepEqual(
    parseListeners(page).map((listener) => listener.host),
    ['::', '::1', '127.0.0.1', '2001:db8:0:0:0:0:0:1'],
  );
});

test('nonsense gives no listener', () => {
  assert.deepEqual(parseListeners(''), []);
  assert.deepEqual(parseListeners('\0\0\n0: zz:zz 0 0A\n0: 0100007F 0 0A'), []);
});

test('the hint names what was found and what is wanted', () => {
  assert.equal(
    readinessHint([{ host: '127.0.0.1', port: 3000 }], 8080),
    'process listens on 127.0.0.1:3000; use host 0.0.0.0 and $PORT=8080',
  );
  assert.equal(
    readinessHint([{ host: '127.0.0.1', port: 8080 }], 8080),
    'process listens on 127.0.0.1:8080; use host 0.0.0.0',
  );
  assert.equal(
    readinessHint([{ host: '::1', port: 3000 }], 8080),
    'process listens on [::1]:3000; use host 0.0.0.0 and $PORT=8080',
  );
  assert.match(readinessHint([], 8080), /listens nowhere.*\$PORT=8080/);
});
