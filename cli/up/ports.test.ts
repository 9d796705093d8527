import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { choosePorts } from './ports.ts';

test('ports that may be any are different ones, and none that an outgoing connection gets', async () => {
  const chosen = Object.values(await choosePorts({ host: '127.0.0.1', port: 0 }));
  assert.equal(chosen.length, 5);
  assert.equal(new Set(chosen).size, chosen.length);
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim();
  const [from = 0] = range.split(/\s+/).map(Number);
  for (const port of chosen) {
    assert.ok(port > 0);
    if (from > 20_000) assert.ok(port < from, `${port} is below ${range}`);
  }
});
