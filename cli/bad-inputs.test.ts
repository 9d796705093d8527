import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type FakeGateway, sendError, startFakeGateway } from './fake-gateway.ts';
import { type RunOptions, runHearth } from './run-hearth.ts';

/** What users really type, and what each gets: one table. */

const root = mkdtempSync(join(tmpdir(), 'hearth-bad-'));
after(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string, files: Record<string, string>): string {
  mkdirSync(join(root, name), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(root, name, file), text);
  return name;
}

const HELLO = folder('hello', { 'index.js': 'export default () => 1;' });
folder('empty', {});
folder('readme', { 'README.md': '' });
folder('.', { file: '' });
folder('Ünï Cödé', { 'index.js': '' });
folder('bad-config', {
  'index.js': '',
  'function.yaml': 'memory: 256Mi\nmemroy: 1\ntimeout: 0\nconcurrency: 0\n',
});
folder('bad-env', { 'index.js': '', 'function.yaml': 'env:\n  FOO-BAR: x\n' });
folder('secret', { 'index.js': '', '.env': 'API_TOKEN=x\n' });
folder('form', { Dockerfile: '# a\nFROM x\nFORM node\n' });

interface Row {
  args: string[];
  exit: number;
  /** Of the first line. */
  error: RegExp;
  hint?: RegExp;
  /** The lines between are those of a file or a log. */
  linesMax?: number;
  gateway?(fake: FakeGateway): void;
  options?: RunOptions;
}

const refuse =
  (key: string, ...[code, message]: [Parameters<typeof sendError>[1], string]) =>
  (fake: FakeGateway): void =>
    void fake.answers.set(key, (_request, answer) => sendError(answer, code, message));

const failBuild =
  (...[code, message, logTail]: [Parameters<typeof sendError>[1], string, string[]?]) =>
  (fake: FakeGateway): void => {
    const details = logTail === undefined ? {} : { details: { logTail } };
    fake.events = [{ timeMs: 1, type: 'failed', error: { code, message, ...details } }];
  };

const platformError =
  (...[code, message]: [Parameters<typeof sendError>[1], string]) =>
  (fake: FakeGateway): void =>
    void fake.answers.set('GET /function/hello', (_request, answer) => {
      answer.setHeader('x-hearth-error-type', code);
      sendError(answer, code, message);
    });

const ROWS: Record<string, Row> = {
  'unknown command': {
    args: ['deplyo', 'x'],
    exit: 2,
    error: /unknown command "deplyo"/,
    hint: /deploy/,
  },
  'unknown flag': {
    args: ['deploy', 'x', '--memroy', '1'],
    exit: 2,
    error: /"--memroy"/,
    hint: /--memory/,
  },
  'missing argument': {
    args: ['--json', 'deploy'],
    exit: 2,
    error: /missing required argument "dir"/,
    hint: /hearth deploy --help/,
  },
  'extra argument': { args: ['list', 'x'], exit: 2, error: /too many arguments/ },
  'flag without value': {
    args: ['deploy', 'x', '--memory'],
    exit: 2,
    error: /--memory <size>" argument missing/,
  },
  'bad server URL': {
    args: ['list', '--server', 'foo'],
    exit: 2,
    error: /--server must be .*"foo"/,
  },
  'no such folder': {
    args: ['deploy', 'nowhere'],
    exit: 2,
    error: /folder \.\/nowhere does not exist/,
  },
  'a file as folder': {
    args: ['deploy', 'file'],
    exit: 2,
    error: /\.\/file is a file, not a folder/,
  },
  'an empty folder': {
    args: ['deploy', 'empty'],
    exit: 2,
    error: /no Dockerfile in \.\/empty: the folder is empty/,
    hint: /--file/,
  },
  'no program in the folder': {
    args: ['deploy', 'readme'],
    exit: 2,
    error: /no Dockerfile in \.\/readme/,
  },
  'no such Dockerfile': {
    args: ['deploy', HELLO, '--file', 'D.prod'],
    exit: 2,
    error: /no D\.prod in \.\/hello/,
  },
  'bad name': {
    args: ['deploy', HELLO, '--name', 'Héllo'],
    exit: 2,
    error: /got "Héllo"/,
    hint: /try hello/,
  },
  'reserved name': {
    args: ['deploy', HELLO, '--name', 'metrics'],
    exit: 2,
    error: /"metrics" is reserved/,
  },
  'name with a slash': { args: ['invoke', 'a/b'], exit: 2, error: /got "a\/b"/ },
  '__proto__ as name': { args: ['describe', '__proto__'], exit: 2, error: /got "__proto__"/ },
  'empty name': { args: ['logs', ''], exit: 2, error: /got ""/ },
  'bad numbers, all at once': {
    args: [
      'deploy',
      HELLO,
      '--memory',
      '64KB',
      '--cpu',
      'abc',
      '--timeout',
      '0',
      '--concurrency',
      '0',
    ],
    exit: 2,
    error:
      /--memory must be .*"64KB"; --cpu must be .*"abc"; --timeout must be .*"0"; --concurrency .*"0"/,
  },
  'unknown runtime': {
    args: ['deploy', HELLO, '--runtime', 'pyton'],
    exit: 2,
    error: /did you mean python\?/,
  },
  'min above max': {
    args: ['deploy', HELLO, '--min', '5', '--max', '2'],
    exit: 2,
    error: /5.*2|2.*5/,
  },
  'bad env flag': { args: ['deploy', HELLO, '--env', '1A=x'], exit: 2, error: /1A/ },
  'env without value': {
    args: ['deploy', HELLO, '--env', 'NOT_SET'],
    exit: 2,
    error: /--env NOT_SET/,
  },
  'bad function.yaml': {
    args: ['deploy', 'bad-config'],
    exit: 2,
    error: /function\.yaml:2: .*`memroy`.*did you mean `memory`/,
    linesMax: 6,
  },
  'bad env in function.yaml': { args: ['deploy', 'bad-env'], exit: 2, error: /FOO-BAR/ },
  'secret with --strict': {
    args: ['deploy', 'secret', '--strict'],
    exit: 2,
    error: /\.env is in the build context \(1 key looks like a secret\)/,
  },
  'bad tail': { args: ['logs', 'hello', '--tail', '-1'], exit: 2, error: /--tail must be .*"-1"/ },
  'bad header': { args: ['invoke', 'hello', '-H', 'nocolon'], exit: 2, error: /"nocolon"/ },
  'bad path': {
    args: ['invoke', 'hello', '--path', '/a b'],
    exit: 2,
    error: /"\/a b"/,
    hint: /%20/,
  },
  'missing data file': {
    args: ['invoke', 'hello', '-d', '@nope.json'],
    exit: 2,
    error: /"nope\.json": no such file/,
  },
  'bad port of up': { args: ['up', '--port', '99999'], exit: 2, error: /--port must be .*"99999"/ },
  'bad subnet of up': {
    args: ['up', '--port', '0', '--subnet', 'x', '--data-root', join(root, 'up')],
    exit: 2,
    error: /--subnet must be .*"x"/,
  },
  'wrong token': {
    args: ['list'],
    exit: 4,
    error: /token is not valid/,
    options: { token: 'wrong' },
  },
  'server is down': {
    args: ['list'],
    exit: 8,
    error: /cannot reach http:\/\/127\.0\.0\.1:9 \(connection refused\)/,
    hint: /hearth up/,
    options: { url: 'http://127.0.0.1:9' },
  },
  'https to http': {
    args: ['list'],
    exit: 8,
    error: /does not speak TLS/,
    hint: /http:\/\//,
    options: { url: 'https' },
  },
  'a server that is not Hearth': {
    args: ['list'],
    exit: 8,
    error: /answered 200: <html>hi/,
    gateway: (fake) =>
      void fake.answers.set('GET /v1/functions', (_, answer) => void answer.end('<html>hi')),
  },
  'unknown function': { args: ['describe', 'nope'], exit: 3, error: /"nope" does not exist/ },
  'remove twice': { args: ['remove', 'nope'], exit: 3, error: /"nope" does not exist/ },
  'broken Dockerfile': {
    args: ['deploy', 'form'],
    exit: 6,
    error: /Dockerfile:3:1: unknown instruction FORM/,
    linesMax: 5,
    gateway: refuse(
      'PUT /v1/functions/form',
      'DockerfileInvalid',
      'Dockerfile:3:1: unknown instruction FORM (did you mean FROM?)',
    ),
  },
  'upload refused': {
    args: ['deploy', HELLO],
    exit: 2,
    error: /too large/,
    gateway: refuse('POST /v1/uploads', 'ContextTooLarge', 'too large'),
  },
  'deploy in progress': {
    args: ['deploy', HELLO],
    exit: 5,
    error: /started 4 s ago/,
    gateway: refuse('PUT /v1/functions/hello', 'DeployInProgress', 'version 2 started 4 s ago'),
  },
  'build step fails': {
    args: ['deploy', HELLO],
    exit: 6,
    error: /exited 1/,
    linesMax: 4,
    gateway: failBuild('BuildStepFailed', 'step 2/3 `RUN npm ci` exited 1', [
      'npm error',
      'code E404',
    ]),
  },
  'function does not listen': {
    args: ['deploy', HELLO],
    exit: 7,
    error: /nothing listened/,
    gateway: failBuild('NotListening', 'nothing listened on 0.0.0.0:8080 within 10 s'),
  },
  'invoke times out': {
    args: ['invoke', 'hello'],
    exit: 7,
    error: /no response within 30 s/,
    gateway: platformError('RequestTimeout', 'no response within 30 s'),
  },
  'invoke unknown': {
    args: ['invoke', 'hello'],
    exit: 3,
    error: /does not exist/,
    gateway: platformError('FunctionNotFound', 'function "hello" does not exist'),
  },
  'invoke while deploying': {
    args: ['invoke', 'hello'],
    exit: 8,
    error: /is being deployed/,
    gateway: platformError('Deploying', 'is being deployed'),
  },
  'a peer that steers the terminal': {
    args: ['list'],
    exit: 8,
    error: /a\\x1b\[2J/,
    gateway: refuse('GET /v1/functions', 'Internal', 'a\x1b[2J'),
  },
};

for (const [name, row] of Object.entries(ROWS)) {
  test(`bad input: ${name}`, async (t) => {
    const fake = await startFakeGateway(t);
    row.gateway?.(fake);
    const https = row.options?.url === 'https' ? { url: fake.url.replace('http:', 'https:') } : {};
    const options = { cwd: root, url: fake.url, ...row.options, ...https };
    const { exit, out, err } = await runHearth(row.args, options);
    const [first = '', ...more] = err.trimEnd().split('\n');
    assert.match(first, /^error: /, err);
    assert.match(first, row.error, err);
    assert.equal(exit, row.exit, err);
    assert.equal(out, '');
    assert.ok(more.length < (row.linesMax ?? 3), err);
    assert.doesNotMatch(err, /\n\s+at |node:internal|\.js:\d+/);
    if (row.hint !== undefined) assert.match(more.at(-1) ?? '', row.hint);
  });
}

test('a Dockerfile error shows the line and a caret', async (t) => {
  const fake = await startFakeGateway(t);
  ROWS['broken Dockerfile']?.gateway?.(fake);
  const { err } = await runHearth(['deploy', 'form'], { cwd: root, url: fake.url });
  assert.deepEqual(err.split('\n').slice(1, 4), ['  2 | FROM x', '  3 | FORM node', '    | ^']);
});

test('HEARTH_DEBUG=1 shows the stack', async (t) => {
  const { url } = await startFakeGateway(t);
  const { err } = await runHearth(['describe', 'nope'], { url, env: { HEARTH_DEBUG: '1' } });
  assert.match(err, /\n\s+at /);
});
