import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeployEvent, NewDeployEvent } from '../../lib/deploy-events.ts';
import { advance, liveLines, PROGRESS_START, plainLines, showLine } from './progress.ts';
import { fitColumns } from './text-width.ts';

const at = (timeMs: number, event: NewDeployEvent): DeployEvent => ({ timeMs, ...event });

const STORY: DeployEvent[] = [
  at(0, { type: 'queued', buildId: 'b-1', functionName: 'hello', generation: 1 }),
  at(10, { type: 'step', step: 1, steps: 2, text: 'FROM hearth/node:24', cached: true }),
  at(12, { type: 'step-done', step: 1, durationMs: 2, cached: true }),
  at(13, { type: 'step', step: 2, steps: 2, text: 'RUN npm ci', cached: false }),
  at(20, { type: 'output', step: 2, stream: 'stdout', text: 'added 3 packages\nin 2s\n' }),
  at(2013, { type: 'step-done', step: 2, durationMs: 2000, cached: false }),
  at(2014, { type: 'warning', text: 'two CMD instructions' }),
  at(2015, { type: 'push', layers: 3, bytes: 2048 }),
  at(2020, { type: 'pushed', repository: 'functions/hello', digest: 'sha256:0', durationMs: 5 }),
  at(2021, { type: 'starting', revisionId: 'hello-00001', node: 'n1' }),
  at(2031, { type: 'ready', revisionId: 'r', url: 'http://u', durationMs: 2031, startMs: 10 }),
];

function play(events: readonly DeployEvent[]) {
  let progress = PROGRESS_START;
  const finished: string[] = [];
  const plain: string[] = [];
  for (const event of events) {
    const advanced = advance(progress, event);
    progress = advanced.progress;
    finished.push(...advanced.lines.map(showLine));
    plain.push(...plainLines(advanced, event));
  }
  return { progress, finished, plain };
}

test('a terminal keeps one line a finished step, with its time or that it was cached', () => {
  assert.deepEqual(play(STORY).finished, [
    '✔ 1/2 FROM hearth/node:24 cached',
    '✔ 2/2 RUN npm ci 2s',
    'warning: two CMD instructions',
    '✔ pushed functions/hello 5ms',
    '✔ answers 10ms',
  ]);
});

test('a pipe gets every line, output of programs included', () => {
  assert.deepEqual(play(STORY).plain, [
    '1/2 FROM hearth/node:24',
    '✔ 1/2 FROM hearth/node:24 cached',
    '2/2 RUN npm ci',
    '  added 3 packages',
    '  in 2s',
    '✔ 2/2 RUN npm ci 2s',
    'warning: two CMD instructions',
    'pushing 3 layers, 2 KiB',
    '✔ pushed functions/hello 5ms',
    'starting on n1',
    '✔ answers 10ms',
  ]);
});

test('the live region shows the step, its seconds and the last lines, within the columns', () => {
  const { progress } = play(STORY.slice(0, 5));
  const lines = liveLines(progress, { nowMs: 1513, columns: 40 });
  assert.deepEqual(lines.slice(1), ['  added 3 packages', '  in 2s']);
  assert.match(lines[0] ?? '', /^. 2\/2 RUN npm ci 1\.5s$/);
  for (const columns of [20, 40, 200]) {
    const long = {
      type: 'output',
      step: 2,
      stream: 'stdout',
      text: `${'x'.repeat(500)}\n`,
    } as const;
    const step = { type: 'step', step: 1, steps: 1, text: 'y'.repeat(500), cached: false } as const;
    const wide = play([at(0, step), at(1, long)]).progress;
    for (const line of liveLines(wide, { nowMs: 99_999, columns })) {
      assert.ok(line.length < columns, `${line.length} of ${columns}`);
    }
  }
});

test('a failed step stays on the screen, marked', () => {
  const error = { code: 'BuildStepFailed', message: 'x' } as const;
  const { finished } = play([...STORY.slice(0, 5), at(30, { type: 'failed', error })]);
  assert.equal(finished.at(-1), '✘ 2/2 RUN npm ci');
});

test('output cannot steer the terminal, and a carriage return shows the newest state', () => {
  const output = {
    type: 'output',
    step: 1,
    stream: 'stdout',
    text: '10%\r50%\r90%\x1b[2J\n',
  } as const;
  const step = { type: 'step', step: 1, steps: 1, text: 'RUN x', cached: false } as const;
  const { progress } = play([at(0, step), at(1, output)]);
  assert.deepEqual(progress.output, ['90%\\x1b[2J']);
});

test('fitColumns() counts wide signs twice and cuts with an ellipsis', () => {
  assert.equal(fitColumns('hello', 10), 'hello');
  assert.equal(fitColumns('hello', 4), 'hel…');
  assert.equal(fitColumns('漢字漢字', 6), '漢字…');
});

test('an image that is made or pulled has a line and a time of its own', () => {
  const reference = 'hearth/node:24';
  const story = [
    at(0, { type: 'image', reference, action: 'make' }),
    at(9, { type: 'image-done', reference, action: 'make', durationMs: 9 }),
    at(9, { type: 'image', reference: 'a/b:1', action: 'pull' }),
    at(12, { type: 'image-done', reference: 'a/b:1', action: 'pull', durationMs: 3 }),
  ];
  assert.deepEqual(play(story).plain, [
    'base image hearth/node:24',
    '✔ base image hearth/node:24 9ms',
    'pulling a/b:1',
    '✔ pulled a/b:1 3ms',
  ]);
  const failed = at(9, { type: 'failed', error: { code: 'Internal', message: 'x' } });
  const [begun] = story;
  assert.deepEqual(play(begun === undefined ? [] : [begun, failed]).finished, [
    '✘ base image hearth/node:24',
  ]);
});
