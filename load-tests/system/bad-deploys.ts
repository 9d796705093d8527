import { answering } from './folder.ts';

/** A folder that cannot be deployed, and what its user is told. */
export interface BadDeploy {
  files: Record<string, string | { text: string; mode: number }>;
  flags?: string[];
  exit: number;
  /** Of the line `error: …`. */
  error: RegExp;
  hint?: RegExp;
  /** Somewhere in the lines of a file or log that are shown. */
  shown?: RegExp;
  /** The function is listed afterwards, as failed; else nothing is. */
  isListed?: true;
}

const NODE = 'FROM hearth/node:24\n';
const OK = answering('ok');

/** A Dockerfile image whose `run` file is the program. */
function program(text: string, options: { mode?: number; cmd?: string } = {}): BadDeploy['files'] {
  const { mode = 0o755, cmd = '["/run"]' } = options;
  return { Dockerfile: `${NODE}COPY run /run\nCMD ${cmd}\n`, run: { text, mode } };
}

function server(host: string, port: string): BadDeploy['files'] {
  const code = `require('http').createServer((q, a) => a.end()).listen(${port}, '${host}')`;
  const command = JSON.stringify(['node', '-e', code]);
  return { Dockerfile: `${NODE}CMD ${command}\n`, 'function.yaml': 'startTimeout: 2s\n' };
}

function config(text: string): BadDeploy['files'] {
  return { 'index.mjs': OK, 'function.yaml': text };
}

const failsInBuild = { exit: 6, isListed: true } as const;
const failsAtStart = { exit: 7, isListed: true } as const;

/** Rows by what a user did. */
export const BAD_DEPLOYS: Readonly<Record<string, BadDeploy>> = {
  'an unknown instruction': {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}\nFORM node\n` },
    error: /^error: Dockerfile:3:1: unknown instruction FORM \(did you mean FROM\?\)$/,
    shown: /3 \| FORM node/,
  },
  'a broken JSON array': {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}CMD ["node", \n` },
    error: /^error: Dockerfile:2:\d+: .*CMD/,
  },
  'an instruction without its argument': {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}COPY one\n` },
    error: /^error: Dockerfile:2:\d+: COPY/,
  },
  'a here-document without its end': {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}RUN <<EOF\ntrue\n` },
    error: /^error: Dockerfile:2:\d+: .*EOF/,
  },
  'an empty Dockerfile': { ...failsInBuild, files: { Dockerfile: '' }, error: /Dockerfile/ },
  'a mount of the ssh agent': {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}RUN --mount=type=ssh true\n` },
    error: /^error: Dockerfile:2:\d+: .*ssh/,
  },
  'another syntax': {
    ...failsInBuild,
    files: { Dockerfile: `# syntax=example/other:1\n${NODE}` },
    error: /^error: Dockerfile:1:\d+: .*syntax/,
  },
  ONBUILD: {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}ONBUILD RUN true\n` },
    error: /^error: Dockerfile:2:\d+: .*ONBUILD/,
  },
  'a tag that there is not': {
    ...failsInBuild,
    files: { Dockerfile: 'FROM hearth/node:99\n' },
    error: /hearth\/node:99: tag not found; available: 24/,
  },
  'a RUN that fails': {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}RUN echo the reason; exit 3\n` },
    error: /^error: .*step 2\/2.*`RUN echo the reason; exit 3`.* exited 3/,
    shown: /the reason/,
  },
  'a COPY of a file that is not there': {
    ...failsInBuild,
    files: { Dockerfile: `${NODE}COPY nothing /\n` },
    error: /nothing/,
  },
  'a server that never listens': {
    ...failsAtStart,
    files: {
      Dockerfile: `${NODE}CMD ["node", "-e", "console.log('up'); setInterval(() => {}, 1000)"]\n`,
      'function.yaml': 'startTimeout: 1s\n',
    },
    error: /^error: nothing listened on 0\.0\.0\.0:8080 within 1 ?s/,
    shown: /up/,
  },
  'a server on 127.0.0.1': {
    ...failsAtStart,
    files: server('127.0.0.1', '3000'),
    error: /^error: nothing listened on 0\.0\.0\.0:8080/,
    hint: /127\.0\.0\.1:3000.*0\.0\.0\.0/,
  },
  'a server on another port': {
    ...failsAtStart,
    files: server('0.0.0.0', '3000'),
    error: /^error: nothing listened on 0\.0\.0\.0:8080/,
    hint: /3000.*PORT/,
  },
  'a crash at import': {
    ...failsAtStart,
    files: { 'index.mjs': "throw new TypeError('no database');\n" },
    error: /^error: .*no database/,
  },
  'no handler in the module': {
    ...failsAtStart,
    files: { 'index.mjs': 'export const other = 1;\n' },
    error: /^error: .*other/,
  },
  'a program that exits 0 at once': {
    ...failsAtStart,
    files: program('#!/bin/sh\necho bye\n'),
    error: /^error: .*exited 0/,
    shown: /bye/,
  },
  'a program that exits 3': {
    ...failsAtStart,
    files: program('#!/bin/sh\necho bad >&2\nexit 3\n'),
    error: /^error: .*exited 3/,
    shown: /bad/,
  },
  'a missing program': {
    ...failsAtStart,
    files: { Dockerfile: `${NODE}CMD ["/app/run"]\n` },
    error: /^error: \/app\/run: not found/,
  },
  'a program for another machine': {
    ...failsAtStart,
    files: program('not a program\n'),
    error: /^error: .*\/run/,
  },
  'a program that is not executable': {
    ...failsAtStart,
    files: program('#!/bin/sh\n', { mode: 0o644 }),
    error: /^error: .*\/run.*(permission|executable)/,
  },
  'a script with Windows line ends': {
    ...failsAtStart,
    files: program('#!/bin/sh\r\necho hi\r\n'),
    error: /^error: .*\/run/,
    hint: /CRLF|line end/,
  },
  'an empty folder': { files: {}, exit: 2, error: /no Dockerfile in .*the folder is empty/ },
  'a bad name of a variable': {
    files: config('env:\n  FOO-BAR: x\n'),
    exit: 2,
    error: /env FOO-BAR: name must match \[A-Za-z_\]\[A-Za-z0-9_\]\*/,
  },
  'a variable of the platform': {
    files: config('env:\n  HEARTH_FUNCTION: x\n'),
    exit: 2,
    error: /HEARTH_FUNCTION/,
  },
  'too large an environment': {
    files: config(`env:\n  BIG: ${'x'.repeat(6000)}\n`),
    exit: 2,
    error: /6[ ,]?0\d\d bytes, limit 4[ ,]?096/,
  },
  'too many variables': {
    files: config(`env:\n${Array.from({ length: 101 }, (_, n) => `  V${n}: "1"\n`).join('')}`),
    exit: 2,
    error: /101.*100/,
  },
  'a number as a variable': { files: config('env:\n  A: 1\n'), exit: 2, error: /\bA\b/ },
  'a tab in function.yaml': { files: config('env:\n\tA: x\n'), exit: 2, error: /function\.yaml:2/ },
  'an unknown key': {
    files: config('timeout: 5s\nmemroy: 256Mi\n'),
    exit: 2,
    error: /function\.yaml:2: unknown key `memroy` \(did you mean `memory`\?\)/,
  },
  'numbers out of their bounds': {
    files: { 'index.mjs': OK },
    flags: ['--memory', '64KB', '--cpu', 'abc', '--timeout', '0', '--concurrency', '0'],
    exit: 2,
    error: /--memory .*"64KB".*--cpu .*"abc".*--timeout .*"0".*--concurrency .*"0"/,
  },
  'a minimum above the maximum': {
    files: { 'index.mjs': OK },
    flags: ['--min', '5', '--max', '2'],
    exit: 2,
    error: /scale\.min must be <= scale\.max \(2\): current value is 5/,
  },
};
