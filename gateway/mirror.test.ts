import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSpec } from '../lib/spec/defaults.ts';
import type { Change } from '../lib/store/store.ts';
import { Mirror } from './mirror.ts';
import { recordsOf } from './testing/platform.ts';

function put(name: string): Change {
  const { function: record } = recordsOf(defaultSpec(name), 1, []);
  return { kind: 'function', id: name, version: 1, record };
}

test('apply() keeps the newest record and tells the listeners in order', () => {
  const mirror = new Mirror();
  const told: string[] = [];
  mirror.onChange(({ id, record }) => told.push(`${id} ${record === undefined ? 'gone' : 'put'}`));
  mirror.apply(put('a'));
  mirror.apply(put('b'));
  mirror.apply({ kind: 'function', id: 'a', version: 2 });
  assert.deepEqual(told, ['a put', 'b put', 'a gone']);
  assert.deepEqual(
    [...mirror.all('function')].map(({ name }) => name),
    ['b'],
  );
});

test('after a gap old records are served until the new snapshot has had its time', () => {
  const mirror = new Mirror();
  mirror.apply(put('kept'));
  mirror.apply(put('removed-meanwhile'));
  const epoch = mirror.beginEpoch();
  assert.equal(mirror.count('function'), 2);
  mirror.apply(put('kept'));
  const told: string[] = [];
  mirror.onChange(({ id }) => told.push(id));
  mirror.sweep(epoch);
  assert.deepEqual(told, ['removed-meanwhile']);
  assert.notEqual(mirror.get('function', 'kept'), undefined);
});
