import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import { isOnThisMachine, sendRefusal } from './refusal.ts';

function from(remoteAddress: string | undefined, headers = {}): boolean {
  return isOnThisMachine({ socket: { remoteAddress }, headers } as unknown as IncomingMessage);
}

test('a caller is on this machine when it comes by loopback and by no proxy', () => {
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) {
    assert.equal(from(address), true, address);
    assert.equal(from(address, { 'x-forwarded-for': '192.0.2.1' }), false, address);
  }
  for (const address of [undefined, '10.0.0.1', '192.0.2.1', '::ffff:10.0.0.1', 'fd00::1']) {
    assert.equal(from(address), false, String(address));
  }
});

test('the lines of a function are told to nobody elsewhere', () => {
  const bodyFor = (showsDetails: boolean): { error: Record<string, unknown> } => {
    let sent = '';
    const response = {
      writeHead() {},
      end(text: string) {
        sent = text;
      },
    };
    const error = new HearthError('StartFailed', 'exited 1', { details: { logTail: ['secret'] } });
    const context = { callId: 'c', startedAtMs: 0, isLast: false, showsDetails };
    sendRefusal(response as unknown as ServerResponse, error, context);
    return JSON.parse(sent);
  };
  assert.deepEqual(bodyFor(true).error.details, { logTail: ['secret'] });
  assert.equal('details' in bodyFor(false).error, false);
});
