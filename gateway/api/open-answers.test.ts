import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { FastifyReply } from 'fastify';
import { OpenAnswers } from './open-answers.ts';

function reply(closed = false): FastifyReply {
  return { raw: Object.assign(new EventEmitter(), { closed }) } as unknown as FastifyReply;
}

test('each holds one of the slots until it closes, and gives it back once', () => {
  const answers = new OpenAnswers('readers of logs', 2);
  const [first, second] = [reply(), reply()];
  const signal = answers.enter(first);
  answers.enter(second);
  assert.throws(() => answers.enter(reply()), /there are 2 readers of logs already/);
  first.raw.emit('close');
  first.raw.emit('close');
  assert.ok(signal.aborted);
  answers.enter(reply());
  assert.throws(() => answers.enter(reply()), { code: 'QueueFull' });
});

test('a caller that has gone before holds none', () => {
  const answers = new OpenAnswers('readers of logs', 1);
  for (let i = 0; i < 3; i++) {
    assert.throws(() => answers.enter(reply(true)), { name: 'AbortError' });
  }
  answers.enter(reply());
});
