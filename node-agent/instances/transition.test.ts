import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceState } from '../../lib/records.ts';
import { type InstanceEvent, transition } from './transition.ts';

const STATES: InstanceState[] = ['starting', 'ready', 'paused', 'draining', 'stopped'];
const EVENTS: InstanceEvent[] = ['ready', 'pause', 'resume', 'drain', 'exit'];

test('the table of all states and events', () => {
  const table = Object.fromEntries(
    STATES.map((state) => [state, EVENTS.map((event) => transition(state, event) ?? '-')]),
  );
  assert.deepEqual(table, {
    starting: ['ready', '-', '-', 'draining', 'stopped'],
    ready: ['-', 'paused', '-', 'draining', 'stopped'],
    paused: ['-', '-', 'ready', 'draining', 'stopped'],
    draining: ['-', '-', '-', '-', 'stopped'],
    stopped: ['-', '-', '-', '-', '-'],
  });
});

test('an exit ends every state, and nothing follows it', () => {
  for (const state of STATES.filter((s) => s !== 'stopped')) {
    assert.equal(transition(state, 'exit'), 'stopped');
  }
  for (const event of EVENTS) assert.equal(transition('stopped', event), undefined);
});
