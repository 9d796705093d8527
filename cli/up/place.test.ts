import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseRoutes, pickPlace, placeOf } from './place.ts';

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';

function route(destination: string, mask: string): string {
  return `eth0\t${destination}\t00000000\t0001\t0\t0\t0\t${mask}\t0\t0\t0`;
}

const DEFAULT_ROUTE = route('00000000', '00000000');

test('parseRoutes() reads destinations and masks, without the default route', () => {
  const text = [HEAD, DEFAULT_ROUTE, route('00003E0A', '0080FFFF'), ''].join('\n');
  assert.deepEqual(parseRoutes(text), [{ first: 0x0a3e_0000, last: 0x0a3e_7fff }]);
});

test('pickPlace() is the first place that nobody has', () => {
  assert.deepEqual(pickPlace([]), { subnet: '10.62.0.0/16', uidBase: 0x2000_0000 });
  const half = parseRoutes(route('00803E0A', '0080FFFF'));
  assert.deepEqual(pickPlace(half), { subnet: '10.63.0.0/16', uidBase: 0x2800_0000 });
  // A private network that covers all places: as good as any
  const all = parseRoutes(route('0000000A', '000000FF'));
  assert.equal(pickPlace(all).subnet, '10.62.0.0/16');
});

test('placeOf() keeps what it chose, and chooses again after a torn file', (t) => {
  const dataRoot = mkdtempSync(join(tmpdir(), 'hearth-place-'));
  t.after(() => rmSync(dataRoot, { recursive: true }));
  const chosen = placeOf(dataRoot);
  assert.match(chosen.subnet, /^10\.\d+\.0\.0\/16$/);
  const path = join(dataRoot, 'place.json');
  writeFileSync(path, JSON.stringify({ subnet: '10.99.0.0/16', uidBase: 1_000_000 }));
  assert.equal(placeOf(dataRoot).subnet, '10.99.0.0/16');
  writeFileSync(path, '{"subn');
  assert.deepEqual(placeOf(dataRoot), chosen);
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), chosen);
});
