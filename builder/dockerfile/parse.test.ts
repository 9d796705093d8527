// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test has them
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HearthError } from '../../lib/errors.ts';
import { expand } from './expand.ts';
import { parseDockerfile } from './parse.ts';
import { planBuild } from './plan.ts';
import { resolveStages } from './stages.ts';

const PLATFORM = { os: 'linux', architecture: 'amd64' };

function planText(text: string): void {
  const graph = resolveStages(parseDockerfile(text).instructions, {
    buildArgs: {},
    platform: PLATFORM,
  });
  planBuild(graph, { buildArgs: {}, configs: new Map() });
}

test('parseDockerfile() names file, line and column, and what was meant', () => {
  assert.throws(
    () => parseDockerfile('FROM a\n\n  FORM node\n', { file: 'sub/Dockerfile' }),
    (error) => {
      assert.ok(error instanceof HearthError);
      assert.equal(error.code, 'DockerfileInvalid');
      assert.equal(
        error.message,
        'sub/Dockerfile:3:3: unknown instruction FORM (did you mean FROM?)',
      );
      assert.deepEqual(error.details, {
        file: 'sub/Dockerfile',
        line: 3,
        column: 3,
        source: '  FORM node',
      });
      return true;
    },
  );
});

test('parseDockerfile() and planBuild() throw only typed errors', () => {
  const piece = fc.constantFrom(
    'FROM ',
    'FROM a AS b\n',
    'RUN ',
    'COPY ',
    'ADD ',
    'ENV ',
    'ARG ',
    'LABEL ',
    'CMD ',
    'USER ',
    'EXPOSE ',
    'WORKDIR ',
    'SHELL ',
    '--from=',
    '--mount=type=',
    '--chown=',
    ' ',
    '\n',
    '\\\n',
    '\r\n',
    '#',
    '# escape=`\n',
    '<<EOF',
    'EOF\n',
    '<<-"E"',
    '["a", "b"]',
    '[',
    '"',
    "'",
    '$',
    '${',
    '}',
    ':-',
    '=',
    'a',
    'b=c',
    '/',
    '.',
    '\0',
    '\uFEFF',
    '\\',
    '`',
    'é',
    '0',
  );
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (dockerfile) => {
      try {
        planText(`FROM scratch AS z\n${dockerfile}`);
      } catch (error) {
        assert.ok(error instanceof HearthError, String((error as Error).stack));
        assert.notEqual(error.code, 'Internal');
        assert.match(error.message, /^Dockerfile:\d+:\d+: /);
      }
    }),
    { numRuns: 2000 },
  );
});

test('expand() knows the forms of Docker', () => {
  const values: Record<string, string> = { a: 'A', empty: '' };
  const cases: [string, string][] = [
    ['$a', 'A'],
    ['${a}x', 'Ax'],
    ['$ax', ''],
    ['\\$a', '$a'],
    ["'$a'", '$a'],
    ['"$a \\" \\x"', 'A " \\x'],
    ['${u:-d}', 'd'],
    ['${empty:-d}', 'd'],
    ['${empty-d}', ''],
    ['${a:+y}', 'y'],
    ['${u:+y}', ''],
    ['${empty+y}', 'y'],
    ['${u:-${a}${u:-"q r"}}', 'Aq r'],
    ['$', '$'],
    ['$$a', 'a'],
    ['$1x', 'x'],
    ['end\\', 'end'],
  ];
  const lookup = (name: string): string | undefined => values[name];
  for (const [text, result] of cases) {
    assert.equal(expand(text, { lookup, escapeSign: '\\' }), result, text);
  }
  for (const bad of ['${', '${}', '${a', '${a:=b}', '${u:?gone}', '"x', "'x"]) {
    assert.throws(() => expand(bad, { lookup, escapeSign: '\\' }), bad);
  }
});

test('planBuild() bounds what variables grow to', () => {
  const doubling = `FROM a\nENV v=0123456789\n${'ENV v=$v$v$v$v$v$v$v$v\n'.repeat(20)}`;
  assert.throws(() => planText(doubling), { code: 'DockerfileInvalid' });
  const wide = `FROM a\nENV v=${'x'.repeat(60_000)}\n${'LABEL a=$v b=$v c=$v d=$v\n'.repeat(100)}`;
  assert.throws(() => planText(wide), { code: 'DockerfileInvalid' });
  assert.throws(() => planText(`FROM a\nENV v=${'${a:-'.repeat(5000)}`), {
    code: 'DockerfileInvalid',
  });
});
