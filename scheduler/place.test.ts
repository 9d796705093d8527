import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../lib/limits.ts';
import { allowance } from './allowance.ts';
import { afterFailure } from './backoff.ts';
import { type PlaceNode, place, placeNodes } from './place.ts';
import { GIB, instance, node } from './testing/records.ts';
import type { Failures } from './world.ts';

function at(name: string, freeBytes: number, changes: Partial<PlaceNode> = {}): PlaceNode {
  return { name, freeBytes, instances: 0, ofRevision: 0, ...changes };
}

describe('place', () => {
  const need = { memoryBytes: 100 };
  it('takes the node with the most free memory', () => {
    assert.equal(place([at('a', 100), at('b', 300), at('c', 200)], need), 'b');
  });
  it('spreads a revision before it looks at memory', () => {
    assert.equal(place([at('a', 900, { ofRevision: 1 }), at('b', 100)], need), 'b');
  });
  it('decides ties by name, whatever the order', () => {
    assert.equal(place([at('b', 100), at('a', 100)], need), 'a');
  });
  it('takes none that has no room in memory or in number', () => {
    const full = at('b', 1e9, { instances: LIMITS.agentInstancesMax });
    assert.equal(place([at('a', 99), full], need), undefined);
    assert.equal(place([], need), undefined);
  });
  it('counts the share of the memory that agents give away', () => {
    const nodes = [node('n1', 0, { memoryBytes: 10 * GIB, memoryReservedBytes: GIB })];
    const places = placeNodes(nodes, [instance('i-1'), instance('i-2', { revisionId: 'x' })], 'x');
    assert.deepEqual(places, [{ name: 'n1', freeBytes: 7 * GIB, instances: 0, ofRevision: 1 }]);
  });
});

describe('allowance', () => {
  const need = { memoryBytes: 100 };
  it('ranks the nodes when none is known', () => {
    assert.deepEqual(allowance([at('a', 100), at('b', 300)], need, []), ['b', 'a']);
  });
  it('keeps the order while its first node has room', () => {
    assert.deepEqual(allowance([at('a', 200), at('b', 300)], need, ['a', 'b']), ['a', 'b']);
  });
  it('changes the order when the first is full or another has twice the room', () => {
    assert.deepEqual(allowance([at('a', 99), at('b', 100)], need, ['a', 'b']), ['b', 'a']);
    assert.deepEqual(allowance([at('a', 100), at('b', 200)], need, ['a', 'b']), ['b', 'a']);
  });
  it('drops nodes that went and adds nodes that came', () => {
    assert.deepEqual(allowance([at('b', 200), at('c', 300)], need, ['a', 'b']), ['c', 'b']);
    assert.deepEqual(allowance([at('a', 300), at('c', 200)], need, ['a', 'b']), ['a', 'c']);
  });
  it('names full nodes last, as they may have room a moment later', () => {
    assert.deepEqual(allowance([at('a', 0), at('b', 0)], need, []), ['a', 'b']);
    assert.deepEqual(allowance([], need, ['a']), []);
  });
});

describe('afterFailure', () => {
  it('pauses 1, 2, 4 … 60 s', () => {
    let failures: Failures | undefined;
    const pausesMs: number[] = [];
    for (let count = 0; count < 8; count += 1) {
      failures = afterFailure(failures, 1_000_000);
      pausesMs.push(failures.untilMs - 1_000_000);
    }
    const seconds = pausesMs.map((ms) => ms / 1_000);
    assert.deepEqual(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
  });
});
