import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HearthError } from '../errors.ts';
import { defaultSpec } from './defaults.ts';
import { mergeSpec, parseSpecFile } from './file.ts';

function fault(text: string): HearthError {
  try {
    parseSpecFile(text, 'function.yaml');
  } catch (error) {
    assert.ok(error instanceof HearthError);
    return error;
  }
  return assert.fail(`accepted: ${text}`);
}

describe('parseSpecFile', () => {
  it('reads every key, units as numbers', () => {
    const text = [
      'name: hello',
      'runtime: node',
      'dockerfile: docker/Dockerfile',
      'handler: src/index.mjs',
      'buildArgs: { VERSION: "3" }',
      'env:',
      '  GREETING: "good day"',
      '  EMPTY: ""',
      'labels: { team: web }',
      'port: 9000',
      'memory: 64Mi',
      'cpu: 0.5',
      'pids: 64',
      'timeout: 1m30s',
      'startTimeout: 5',
      'grace: 0',
      'concurrency: 1',
      'scale: { min: 1, max: 3, idle: 2m }',
      'disk: 1Gi',
      'inodes: 5000',
      'shm: 16Mi',
      'swap: 0',
      'cpuWeight: 50',
      'openFiles: 512',
      'egress: [10.1.0.0/16, "10.2.0.1/32:5432"]',
      'volumes:',
      '  - data:/data',
      '  - /srv/models:/models:ro',
      'tmpfs: { /run: 16Mi }',
      'network: shop',
      'aliases: [db]',
      'ociRuntime: runc',
    ].join('\n');
    assert.deepEqual(parseSpecFile(text, 'function.yaml'), {
      name: 'hello',
      runtime: 'node',
      dockerfile: 'docker/Dockerfile',
      handler: 'src/index.mjs',
      buildArgs: { VERSION: '3' },
      env: { GREETING: 'good day', EMPTY: '' },
      labels: { team: 'web' },
      port: 9000,
      memoryBytes: 64 * 1024 * 1024,
      cpuMillis: 500,
      pids: 64,
      timeoutMs: 90_000,
      startTimeoutMs: 5_000,
      graceMs: 0,
      concurrency: 1,
      scale: { min: 1, max: 3, idleMs: 120_000 },
      diskBytes: 1024 ** 3,
      inodes: 5000,
      shmBytes: 16 * 1024 * 1024,
      swapBytes: 0,
      cpuWeight: 50,
      openFiles: 512,
      egress: ['10.1.0.0/16', '10.2.0.1/32:5432'],
      volumes: ['data:/data', '/srv/models:/models:ro'],
      tmpfs: { '/run': 16 * 1024 * 1024 },
      network: 'shop',
      aliases: ['db'],
      ociRuntime: 'runc',
    });
  });

  it('takes an empty file, a comment, empty maps', () => {
    assert.deepEqual(parseSpecFile('', 'f'), {});
    assert.deepEqual(parseSpecFile('# nothing\n', 'f'), {});
    assert.deepEqual(parseSpecFile('env:\nscale:\n', 'f'), { env: {} });
    assert.deepEqual(parseSpecFile('cpu: "500m"', 'f'), { cpuMillis: 500 });
  });

  it('takes an OCI runtime as `runtime`, also beside a language’s', () => {
    assert.deepEqual(parseSpecFile('runtime: runsc', 'f'), { ociRuntime: 'runsc' });
    const both = { runtime: 'node', ociRuntime: 'my-runc' };
    assert.deepEqual(parseSpecFile('runtime: node\nociRuntime: my-runc', 'f'), both);
    const twice = parseSpecFile('runtime: runc\nociRuntime: runc', 'f');
    assert.deepEqual(twice, { ociRuntime: 'runc' });
  });

  it('takes an alias where its anchor is', () => {
    const text = 'env: { A: &a "1", B: *a }';
    assert.deepEqual(parseSpecFile(text, 'f'), { env: { A: '1', B: '1' } });
  });

  const rows: [string, string, string, string?][] = [
    [
      '\n\n\nmemroy: 1',
      'ConfigInvalid',
      'function.yaml:4: unknown key `memroy` (did you mean `memory`?)',
    ],
    [
      'scale:\n  mix: 3',
      'ConfigInvalid',
      'function.yaml:2: unknown key `scale.mix` (did you mean `scale.min`?)',
    ],
    ['xyzzyxyzzy: 1', 'ConfigInvalid', 'function.yaml:1: unknown key `xyzzyxyzzy`'],
    ['__proto__: 1', 'ConfigInvalid', 'function.yaml:1: unknown key `__proto__`'],
    [
      'memory: 64KB',
      'ConfigInvalid',
      'function.yaml:1: memory must be a size from 16 MiB to 64 GiB, such as 256Mi: current value is 64KB',
    ],
    ['memory: 128', 'ConfigInvalid', 'current value is 128', 'did you mean 128Mi?'],
    ['memory: -1', 'ConfigInvalid', 'current value is -1'],
    ['memory: 1e9GB', 'ConfigInvalid', 'current value is 1e9GB'],
    ['memory: [1]', 'ConfigInvalid', 'current value is a list'],
    ['memory: {a: 1}', 'ConfigInvalid', 'current value is a mapping'],
    ['memory:', 'ConfigInvalid', 'current value is empty'],
    ['memory: true', 'ConfigInvalid', 'current value is true'],
    [
      'timeout: 0',
      'ConfigInvalid',
      'timeout must be a time from 100ms to 15m, such as 30s: current value is 0',
    ],
    ['cpu: abc', 'ConfigInvalid', 'cpu must be cores from 0.01 to 64, such as 0.5 or 500m'],
    ['runtime: rucn', 'ConfigInvalid', '(did you mean runc?): current value is rucn'],
    [
      'runtime: runc\nociRuntime: crun',
      'ConfigInvalid',
      'function.yaml:2: ociRuntime names another',
    ],
    ['ociRuntime: ../runc', 'ConfigInvalid', 'ociRuntime must match'],
    ['egress: 10.0.0.0/8', 'ConfigInvalid', 'egress must be a list of texts'],
    [
      'egress:\n  - 10.0.0.0/8\n  - nowhere',
      'ConfigInvalid',
      'function.yaml:3: egress[1] must be an',
    ],
    ['egress: [10.0.0.0/8:0]', 'ConfigInvalid', 'egress[0] has a port'],
    ['volumes: [data]', 'ConfigInvalid', 'volumes[0] must be VOLUME:TARGET[:ro]'],
    ['volumes: [data:/../etc]', 'ConfigInvalid', 'volumes[0] has a target that is not plain'],
    ['volumes: [data:/proc/sys]', 'ConfigInvalid', 'volumes[0] has a target in /proc'],
    ['volumes: [Data:/data]', 'ConfigInvalid', 'volumes[0] names a volume that does not match'],
    ['volumes: [{a: 1}]', 'ConfigInvalid', 'volumes[0] must be text'],
    [
      'tmpfs: { /data: 1Mi }\nvolumes: [a:/data]',
      'ConfigInvalid',
      'function.yaml:1: tmpfs: two mounts at "/data"',
    ],
    ['tmpfs: { /run: 1 }', 'ConfigInvalid', 'tmpfs./run must be a size from 4 KiB'],
    ['tmpfs: { run: 1Mi }', 'ConfigInvalid', 'has a target that is not absolute'],
    ['aliases: [db]', 'ConfigInvalid', 'aliases need the key network'],
    ['network: none', 'ConfigInvalid', 'network must not be none'],
    ['network: [a]', 'ConfigInvalid', 'network must match'],
    ['memory: 64Mi\nshm: 65Mi', 'ConfigInvalid', 'function.yaml:2: shm must be <= memory (64 MiB)'],
    ['disk: 1Ki', 'ConfigInvalid', 'disk must be a size from 1 MiB to 256 GiB'],
    ['cpuWeight: 0', 'ConfigInvalid', 'cpuWeight must be an integer from 1 to 10000'],
    ['openFile: 1', 'ConfigInvalid', 'did you mean `openFiles`?'],
    [
      'concurrency: 0',
      'ConfigInvalid',
      'concurrency must be an integer from 1 to 1000: current value is 0',
    ],
    ['concurrency: 1.5', 'ConfigInvalid', 'current value is 1.5'],
    [
      'port: "8080"',
      'ConfigInvalid',
      'port must be an integer from 1 to 65535: current value is "8080"',
    ],
    ['port: 65536', 'ConfigInvalid', 'current value is 65536'],
    [
      'scale:\n  max: 2\n  min: 5',
      'ConfigInvalid',
      'function.yaml:3: scale.min must be <= scale.max (2): current value is 5',
    ],
    ['scale: 3', 'ConfigInvalid', 'scale must be a mapping of min, max, idle: current value is 3'],
    [
      'runtime: ruby',
      'ConfigInvalid',
      'runtime must be one of dockerfile, node, python, runc, crun, youki, runsc, kata, kata-runtime: current value is ruby',
    ],
    ['dockerfile: ../Dockerfile', 'ConfigInvalid', 'must be a path inside the folder'],
    ['handler: /etc/passwd', 'ConfigInvalid', 'must be a path inside the folder'],
    ['name: Héllo', 'NameInvalid', 'got "Héllo"', 'try hello'],
    ['name: 12', 'NameInvalid', 'name must be text: current value is 12'],
    ['memory: 64Mi\nmemory: 128Mi', 'ConfigInvalid', 'function.yaml:2: duplicate key `memory`'],
    ['scale:\n\tmin: 1', 'ConfigInvalid', 'function.yaml:2: tab used for indentation; use spaces'],
    ['- a\n- b', 'ConfigInvalid', 'function.yaml:1: must be a mapping'],
    ['just text', 'ConfigInvalid', 'function.yaml:1: must be a mapping'],
    ['cpu: 1\n---\ncpu: 2', 'ConfigInvalid', 'a second document'],
    [
      'env: [A]',
      'ConfigInvalid',
      'env must be a mapping of names to text: current value is a list',
    ],
    [
      'env:\n  FOO-BAR: x',
      'EnvInvalid',
      'function.yaml:2: env FOO-BAR: name must match [A-Za-z_][A-Za-z0-9_]*',
    ],
    ['env: { 1A: x }', 'EnvInvalid', 'env 1A: name must match'],
    ['env: { "A=B": x }', 'EnvInvalid', 'env A=B: name must match'],
    ['env: { "": x }', 'EnvInvalid', 'env "": name must match'],
    ['env: { A: "x\\0y" }', 'EnvInvalid', 'env A: value must not have a NUL'],
    ['env: { HEARTH_X: y }', 'EnvInvalid', 'env HEARTH_X: prefix HEARTH_ is reserved'],
    ['env: { PORT: "1" }', 'EnvInvalid', 'env PORT: name is reserved', 'use the key `port`'],
    ['env:\n  A: x\n  A: y', 'EnvInvalid', 'function.yaml:3: env A: duplicate'],
    [
      'env: { A: 1 }',
      'EnvInvalid',
      'env A: value must be text: current value is 1',
      'write "1" in quotes',
    ],
    ['env: { A: yes, B: true }', 'EnvInvalid', 'env B: value must be text: current value is true'],
    ['env: { A: [1] }', 'EnvInvalid', 'env A: value must be text: current value is a list'],
    ['env: { A: { B: c } }', 'EnvInvalid', 'env A: value must be text: current value is a mapping'],
    [`env: { A: ${'x'.repeat(6119)} }`, 'EnvTooLarge', 'env: 6 120 bytes, limit 4 096'],
    [
      `env:\n${Array.from({ length: 101 }, (_, i) => `  A${i}: ""`).join('\n')}`,
      'EnvTooLarge',
      'env: 101 variables, limit 100',
    ],
    ['labels: { "a b": x }', 'ConfigInvalid', 'labels.a b name must match'],
    ['buildArgs: { A: 1 }', 'ConfigInvalid', 'buildArgs.A value must be text'],
    ['env: { A: *nothing }', 'ConfigInvalid', 'alias of an anchor that is not there'],
  ];
  for (const [text, code, message, hint] of rows) {
    const title = text.length > 40 ? `${text.slice(0, 40)}…` : text;
    it(`refuses ${JSON.stringify(title)}`, () => {
      const error = fault(text);
      assert.equal(error.code, code, error.message);
      assert.ok(error.message.includes(message), error.message);
      assert.ok(error.message.split('\n').length <= 3, error.message);
      assert.match(error.message, /^function\.yaml:\d+: /);
      if (hint !== undefined) assert.ok(error.hint?.includes(hint), error.hint);
      assert.equal(error.exit, 2);
      assert.equal(error.status, 400);
    });
  }

  it('lists all problems at once in the order of the lines, each with its column', () => {
    const error = fault('timeout: 0\nmemroy: 1\nenv:\n  A-B: x\nscale: { min: -1 }\n');
    assert.deepEqual(
      error.message.split('\n').map((line) => line.split(' ').slice(0, 3).join(' ')),
      [
        'function.yaml:1: timeout must',
        'function.yaml:2: unknown key',
        'function.yaml:4: env A-B:',
        'function.yaml:5: scale.min must',
      ],
    );
    const problems = error.details?.problems as { line: number; column: number; file: string }[];
    assert.deepEqual(
      problems.map(({ file, line, column }) => `${file}:${line}:${column}`),
      ['function.yaml:1:1', 'function.yaml:2:1', 'function.yaml:4:3', 'function.yaml:5:10'],
    );
    assert.equal(error.code, 'ConfigInvalid');
  });

  it('bounds the problems it says and the file it reads', () => {
    const many = fault(Array.from({ length: 200 }, (_, i) => `key${i}: 1`).join('\n'));
    assert.ok(many.message.endsWith('and 150 more'));
    assert.match(fault(`# ${'x'.repeat(300_000)}`).message, /larger than the limit of 256 KiB/);
  });

  it('does not expand nested aliases', () => {
    const bomb = 'a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nenv: *c';
    assert.match(fault(bomb).message, /unknown key `a`/);
  });
});

describe('mergeSpec', () => {
  it('lets flags win over the file, the file over the defaults', () => {
    const file = { memoryBytes: 2 ** 26, env: { A: '1', B: '2' }, scale: { min: 1 } };
    const flags = { timeoutMs: 5000, env: { B: '3' }, scale: { max: 4 } };
    const spec = mergeSpec(defaultSpec('hello'), file, flags);
    assert.equal(spec.memoryBytes, 2 ** 26);
    assert.equal(spec.timeoutMs, 5000);
    assert.deepEqual(spec.env, { A: '1', B: '3' });
    assert.deepEqual(spec.scale, { min: 1, max: 4, idleMs: 60_000 });
  });

  it('raises the default max to a min above it, never a max that was said', () => {
    assert.equal(mergeSpec(defaultSpec('a'), { scale: { min: 20 } }).scale.max, 20);
    assert.throws(() => mergeSpec(defaultSpec('a'), { scale: { min: 20, max: 3 } }), {
      code: 'ConfigInvalid',
      message: 'scale.min must be <= scale.max (3): current value is 20',
    });
  });
});
