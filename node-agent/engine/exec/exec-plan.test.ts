import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HearthError } from '../../../lib/errors.ts';
import { parseContainerPath } from '../copy/copy-path.ts';
import { makeSpec } from '../testing/engine-world.ts';
import { execEnv, execFault, planEnter, planProgram, sizeFault } from './exec-plan.ts';

const CONTAINER = makeSpec('/layer', ['run'], {
  env: ['PATH=/bin', 'A=1', 'LISTEN_FDS=1', 'HEARTH_STATUS_FD=3'],
  capabilities: ['CAP_CHOWN', 'CAP_KILL'],
  cwd: '/work',
});
const FILE = { fd: 5, device: 1, inode: 2 };

test('variables given stand over the container’s; descriptors of its program are not spoken of', () => {
  const spec = { argv: ['x'], env: ['A=2', 'B=3'] };
  assert.deepEqual(execEnv(CONTAINER.env, spec), ['PATH=/bin', 'A=2', 'B=3']);
});

test('a terminal has a name unless somebody gave one', () => {
  const tty = { rows: 1, columns: 1 };
  assert.ok(execEnv(['A=1'], { argv: ['x'], tty }).includes('TERM=xterm'));
  assert.deepEqual(execEnv(['TERM=vt100'], { argv: ['x'], tty }), ['TERM=vt100']);
  assert.deepEqual(execEnv([], { argv: ['x'], tty, env: ['TERM=dumb'] }), ['TERM=dumb']);
});

test('a program gets no more than the container has', () => {
  const streams = { stdout: FILE, stderr: FILE };
  const work = planProgram(CONTAINER, { argv: ['x'] }, { env: [], streams });
  assert.equal(work.cwd, '/work');
  const given = {
    id: 'a',
    target: { pid: 1, startTime: '1' },
    cgroups: [],
    enginePid: 1,
    work,
    user: { uid: 0, gid: 0, groups: [] },
  };
  const plan = planEnter(CONTAINER, given);
  assert.deepEqual(plan.capabilities, [0, 5]);
  assert.equal(plan.openFiles, CONTAINER.resources.openFiles);
  assert.equal(plan.listener, false);
  assert.equal(planEnter({ ...CONTAINER, listenPath: '/s' }, given).listener, true);
});

test('faults are sentences', () => {
  assert.equal(execFault({ argv: ['x'] }), undefined);
  assert.match(execFault({ argv: [''] }) ?? '', /empty/);
  assert.match(execFault({ argv: ['x'], env: ['A'] }) ?? '', /NAME=value/);
  const user = (uid: number) => execFault({ argv: ['x'], user: { uid, gid: 0, groups: [] } });
  for (const uid of [-1, 65_536, 2 ** 31, 2 ** 32, 0.5, Number.NaN])
    assert.match(user(uid) ?? '', /ids/);
  assert.equal(user(65_535), undefined);
  for (const n of [0, -1, 65_536, 1.5])
    assert.match(sizeFault({ rows: n, columns: 80 }) ?? '', /rows/);
});

test('a path is normal and absolute, and says whether a folder is meant', () => {
  const cases = [
    ['/a/b', '/a/b', 'b', false],
    ['/a/b/', '/a/b', 'b', true],
    ['/a/b/.', '/a/b', 'b', true],
    ['/a//./b', '/a/b', 'b', false],
    ['/../../etc/x', '/etc/x', 'x', false],
    ['/a/..', '/', '', true],
    ['/', '/', '', true],
    ['/.', '/', '', true],
    ['/a/...', '/a/...', '...', false],
  ] as const;
  for (const [text, path, name, follow] of cases) {
    assert.deepEqual(parseContainerPath(text), { path, name, follow }, text);
  }
  for (const text of ['', 'a', './a', '/a\0b', `/${'x'.repeat(4096)}`]) {
    assert.throws(() => parseContainerPath(text), HearthError);
  }
});
