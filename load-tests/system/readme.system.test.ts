import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { Platform, takePlace, whyNotHere } from './platform.ts';

const skip = whyNotHere('curl', 'npx');

/** What the README names that another test runs, or that this run is a part of. */
const ELSEWHERE: ReadonlySet<string> = new Set(['npm run quickstart', 'npm test', 'npx hearth up']);
const URL_IN_README = 'http://127.0.0.1:8080';

let platform: Platform;

before(async () => {
  if (skip === false) platform = await new Platform().up();
});

after(async () => {
  if (skip === false) await platform.end();
});

/** Lines of the README's shell blocks, in order. */
function commands(): string[] {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  return [...readme.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
    .flatMap((block) => (block[1] ?? '').split('\n'))
    .filter((line) => line !== '');
}

/** A folder that looks like a clone to npx, so that nothing is written into the real one. */
function cloneOf(folder: string): string {
  const clone = join(folder, 'clone');
  mkdirSync(clone);
  for (const name of ['package.json', 'node_modules', 'dist', 'cli', 'functions-examples']) {
    symlinkSync(join(packageRoot, name), join(clone, name));
  }
  return clone;
}

async function runLine(
  line: string,
  cwd: string,
  env: Record<string, string> = {},
): Promise<{ code: number; output: string }> {
  const child = spawn('/bin/sh', ['-c', line.replaceAll(URL_IN_README, platform.url)], {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await closed, output: out + err };
}

/** What a reader is told to expect, by the start of the command. */
const ANSWERS: readonly [start: string, answer: RegExp][] = [
  ['curl ', /^hello from \/any\/path$/m],
  ['npx hearth list', /^hello\s+ready/m],
  ['npx hearth invoke hello --path', /^hello from \/again$/m],
  ['npx hearth deploy hello --print', /^FROM hearth\/node:24$/m],
];

test('every command of the README works as it stands there', { skip }, async () => {
  const lines = commands();
  assert.ok(lines.length > 15, 'the README has commands');
  const clone = cloneOf(platform.folder);
  for (const line of lines.filter((candidate) => !ELSEWHERE.has(candidate))) {
    const { code, output } = await runLine(line, clone, { HEARTH_DATA_ROOT: platform.dataRoot });
    assert.equal(code, 0, `${line}\n${output}`);
    const wanted = ANSWERS.find(([start]) => line.startsWith(start));
    if (wanted !== undefined) assert.match(output, wanted[1], line);
  }
});

test('the quickstart answers, ends by itself and leaves nothing behind', { skip }, async () => {
  const { code, output } = await runLine(
    `npm run quickstart -- --once --subnet ${takePlace().subnet}`,
    packageRoot,
  );
  assert.equal(code, 0, output);
  for (const word of ['answer', 'cold', 'warm', 'function', 'metrics']) {
    assert.match(output, new RegExp(`^${word}\\s`, 'm'));
  }
});
