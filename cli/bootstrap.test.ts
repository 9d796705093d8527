import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../lib/paths.ts';

function bootstrap(...args: string[]) {
  const file = join(packageRoot, 'cli/bootstrap.mjs');
  return spawnSync(process.execPath, [file, ...args], { encoding: 'utf8' });
}

test('an unknown step is refused before anything is installed or compiled', () => {
  for (const step of ['tset', '', '__proto__', 'constructor']) {
    const { status, stdout, stderr } = bootstrap(step);
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      `error: unknown step "${step}"\nhint: one of quickstart, up, bench, test, faults, test:v2, check, build\n`,
    );
  }
});

test('a step that makes containers is refused to other users, before anything else', (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root to become another user');
  const file = join(packageRoot, 'cli/bootstrap.mjs');
  const nobody = { uid: 65_534, gid: 65_534, encoding: 'utf8', cwd: '/' } as const;
  const isOpen = spawnSync(process.execPath, ['-p', `fs.readFileSync('${file}').length`], nobody);
  if (isOpen.status !== 0) return t.skip('needs a folder of the project that others may read');
  for (const step of ['quickstart', 'up', 'bench']) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [file, step], nobody);
    assert.equal(status, 4);
    assert.equal(stdout, '');
    assert.equal(
      stderr,
      `error: npm run ${step} must run as root: it makes containers itself\nhint: sudo env "PATH=$PATH" npm run ${step}\n`,
    );
  }
});

test('a run in which no test matches is a failure', () => {
  const file = join(packageRoot, 'cli/bootstrap/run-tests.mjs');
  const { status, stderr } = spawnSync(process.execPath, [file, 'matches-nothing'], {
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.equal(stderr, 'error: no test matches matches-nothing\n');
});
