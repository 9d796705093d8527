import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestHeaders, responseHeaders, saneCallId } from './headers.ts';

const call = {
  callId: 'c-1',
  startedAtMs: 1000,
  deadlineAtMs: 31_000,
  remoteAddress: '::ffff:127.0.0.1',
  host: 'localhost:8080',
  proto: 'http' as const,
};
const OWN = requestHeaders([], call);

test('requestHeaders() keeps order, case and duplicates', () => {
  const raw = ['Host', 'h', 'X-A', '1', 'x-a', '2', 'Cookie', 'k=v'];
  assert.deepEqual(requestHeaders(raw, call), [...raw, ...OWN]);
});

test('requestHeaders() says who called', () => {
  assert.deepEqual(OWN, [
    ...['X-Call-Id', 'c-1', 'X-Start-Time', '1000000000', 'X-Deadline-Ms', '31000'],
    ...['X-Forwarded-For', '127.0.0.1', 'X-Forwarded-Proto', 'http'],
    ...['X-Forwarded-Host', 'localhost:8080'],
    ...['Forwarded', 'for=127.0.0.1;host="localhost:8080";proto=http'],
  ]);
  const v6 = requestHeaders([], { ...call, remoteAddress: '::1', host: 'a"b' });
  assert.equal(v6.at(-1), 'for="[::1]";proto=http');
});

test('requestHeaders() drops what is hop by hop and what the gateway itself says', () => {
  const raw = [
    ...['Connection', 'keep-alive, X-Hop', 'X-Hop', '1', 'Keep-Alive', 'timeout=5'],
    ...[
      'Transfer-Encoding',
      'chunked',
      'TE',
      'trailers',
      'Upgrade',
      'h2c',
      'Expect',
      '100-continue',
    ],
    ...['X-Forwarded-For', '6.6.6.6', 'Forwarded', 'for=6.6.6.6', 'X-Deadline-Ms', '1'],
    ...[
      'X_Forwarded_For',
      '6.6.6.6',
      'X-Real-IP',
      '6.6.6.6',
      'Proxy',
      'http://h',
      'x_call_id',
      'c',
    ],
  ];
  assert.deepEqual(requestHeaders(raw, call), OWN);
});

test('Connection cannot remove what frames or authorises the request', () => {
  const kept = ['Host', 'h', 'Content-Length', '3', 'Cookie', 'k=v', 'Authorization', 'x'];
  const raw = ['Connection', 'host, content-length, cookie, authorization, x-call-id', ...kept];
  assert.deepEqual(requestHeaders(raw, call), [...kept, ...OWN]);
});

test('responseHeaders() keeps set-cookie twice and drops what only the platform may say', () => {
  const raw = [
    ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Connection', 'close', 'X-Call-Id', 'mine'],
    ...[
      'x-hearth-error-type',
      'Fake',
      'X-Cold-Start',
      '1',
      'Clear-Site-Data',
      '*',
      'Content-Length',
      '2',
    ],
  ].map((part) => Buffer.from(part, 'latin1'));
  assert.deepEqual(responseHeaders(raw), [
    ...['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Content-Length', '2'],
  ]);
});

test('saneCallId() takes visible ASCII up to 128 signs', () => {
  assert.equal(saneCallId('a-b:c'), 'a-b:c');
  assert.equal(saneCallId('a'.repeat(129)), undefined);
  for (const bad of ['', 'a b', 'ü', 'a\n', undefined]) assert.equal(saneCallId(bad), undefined);
});
