import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admit, freshRate } from './rate-limit.ts';

const LIMITS = { bytesPerSecond: 100, burstBytes: 800 };

test('a burst passes, then the bucket is dry', () => {
  let state = freshRate(LIMITS, 0);
  for (let i = 0; i < 8; i++) {
    const verdict = admit(state, 100, LIMITS, 0);
    assert.equal(verdict.accepted, true);
    state = verdict.state;
  }
  const verdict = admit(state, 1, LIMITS, 0);
  assert.equal(verdict.accepted, false);
  assert.equal(verdict.state.shut, true);
});

test('a dry bucket stays shut for a second', () => {
  let { state } = admit({ tokens: 0, atMs: 0, shut: false }, 50, LIMITS, 0);
  for (const nowMs of [250, 500, 990]) {
    const verdict = admit(state, 50, LIMITS, nowMs);
    assert.equal(verdict.accepted, false);
    state = verdict.state;
  }
  const verdict = admit(state, 50, LIMITS, 1000);
  assert.equal(verdict.accepted, true);
  assert.equal(verdict.state.shut, false);
});

test('10 s of a flood let through the burst and the rate, no more', () => {
  let state = freshRate(LIMITS, 0);
  let passed = 0;
  for (let nowMs = 0; nowMs < 10_000; nowMs += 10) {
    const verdict = admit(state, 50, LIMITS, nowMs);
    state = verdict.state;
    if (verdict.accepted) passed += 50;
  }
  assert.ok(passed <= 800 + 1000, String(passed));
  assert.ok(passed >= 1500, String(passed));
});

test('a clock that goes back earns nothing', () => {
  const { state } = admit({ tokens: 10, atMs: 1000, shut: false }, 5, LIMITS, 0);
  assert.equal(state.tokens, 5);
});

test('what is more than a full bucket passes when it is full', () => {
  const first = admit(freshRate(LIMITS, 0), 5_000, LIMITS, 0);
  assert.equal(first.accepted, true);
  assert.equal(first.state.tokens, 0);
  assert.equal(admit(first.state, 5_000, LIMITS, 7_000).accepted, false);
  assert.equal(admit(first.state, 5_000, LIMITS, 8_000).accepted, true);
});
