import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { HearthError } from '../errors.ts';
import { packageRoot } from '../paths.ts';
import { defaultSpec } from './defaults.ts';
import { parseSpecFile } from './file.ts';
import { FUNCTION_SCHEMA, parseFunctionSpec } from './schema.ts';

/** The error for the default spec with `change` over it, or for `change` itself if it is no object. */
function fault(change: unknown): HearthError {
  const isPatch = typeof change === 'object' && change !== null && !Array.isArray(change);
  try {
    parseFunctionSpec(isPatch ? { ...defaultSpec('hello'), ...change } : change);
  } catch (error) {
    assert.ok(error instanceof HearthError, String(error));
    return error;
  }
  return assert.fail('accepted');
}

describe('parseFunctionSpec', () => {
  it('takes the defaults, as a fresh object', () => {
    const spec = defaultSpec('hello');
    const parsed = parseFunctionSpec(spec);
    assert.deepEqual(parsed, spec);
    assert.notEqual(parsed.env, spec.env);
  });

  const rows: [string, unknown, string, string][] = [
    ['null', null, 'ConfigInvalid', 'spec must be an object: current value is null'],
    ['a list', [], 'ConfigInvalid', 'spec must be an object: current value is a list'],
    ['text', 'x', 'ConfigInvalid', 'spec must be an object'],
    ['unknown key', { memoryByte: 1 }, 'ConfigInvalid', 'did you mean `memoryBytes`?'],
    ['no memory', { memoryBytes: undefined }, 'ConfigInvalid', 'current value is missing'],
    ['memory as text', { memoryBytes: '256Mi' }, 'ConfigInvalid', '"256Mi"'],
    ['fraction', { pids: 1.5 }, 'ConfigInvalid', 'pids must be an integer from 1 to 4096'],
    ['NaN', { timeoutMs: Number.NaN }, 'ConfigInvalid', 'current value is NaN'],
    ['too much', { cpuMillis: 64_001 }, 'ConfigInvalid', 'from 10 to 64000'],
    ['name', { name: '../x' }, 'NameInvalid', 'got "../x"'],
    ['name newline', { name: 'a\n' }, 'NameInvalid', 'must match'],
    ['name proto', { name: '__proto__' }, 'NameInvalid', 'must match'],
    ['reserved name', { name: 'metrics' }, 'NameInvalid', 'is reserved'],
    ['runtime', { runtime: 'constructor' }, 'ConfigInvalid', 'runtime must be one of'],
    ['dockerfile', { dockerfile: '' }, 'ConfigInvalid', 'dockerfile must not be empty'],
    ['dockerfile out', { dockerfile: 'a/../../b' }, 'ConfigInvalid', 'inside the folder'],
    ['handler NUL', { handler: 'a\0b' }, 'ConfigInvalid', 'control characters'],
    ['scale', { scale: { min: 3, max: 2, idleMs: 0 } }, 'ConfigInvalid', 'scale.min must be <='],
    [
      'scale key',
      { scale: { min: 0, max: 2, idle: 0 } },
      'ConfigInvalid',
      'unknown key `scale.idle`',
    ],
    ['no scale', { scale: 3 }, 'ConfigInvalid', 'scale must be an object'],
    ['env list', { env: [] }, 'ConfigInvalid', 'env must be an object'],
    ['env number', { env: { A: 1 } }, 'EnvInvalid', 'env A: value must be text'],
    ['env prefix', { env: { HEARTH_URL: 'x' } }, 'EnvInvalid', 'prefix HEARTH_'],
    ['env name', { env: { 'A\n': 'x' } }, 'EnvInvalid', 'name must match'],
    ['env large', { env: { A: 'ü'.repeat(2048) } }, 'EnvTooLarge', '4 097 bytes, limit 4 096'],
    ['no list', { volumes: 'a:/b' }, 'ConfigInvalid', 'volumes must be a list of texts'],
    ['a mount', { volumes: ['a'] }, 'ConfigInvalid', 'volumes[0] must be VOLUME:TARGET[:ro]'],
    ['a number in a list', { egress: [1] }, 'ConfigInvalid', 'egress[0] must be text'],
    ['many', { egress: Array(65).fill('10.0.0.0/8') }, 'ConfigInvalid', 'at most 64 entries'],
    ['tmpfs as text', { tmpfs: { '/run': '1Mi' } }, 'ConfigInvalid', 'tmpfs./run must be a size'],
    ['runtime name', { ociRuntime: 'a\n' }, 'ConfigInvalid', 'ociRuntime must match'],
    ['a language', { runtime: 'runc' }, 'ConfigInvalid', 'runtime must be one of'],
    ['much shm', { shmBytes: 2 ** 33 }, 'ConfigInvalid', 'shm must be <= memory'],
    ['label', { labels: { a: 'x'.repeat(1025) } }, 'ConfigInvalid', 'at most 1024 bytes'],
  ];
  for (const [title, change, code, message] of rows) {
    it(`refuses ${title}`, () => {
      const error = fault(change);
      assert.equal(error.code, code, error.message);
      assert.ok(error.message.includes(message), error.message);
      assert.ok(error.message.split('\n').length <= 3, error.message);
    });
  }

  it('takes a spec from before the keys of containers, and every one of them', () => {
    const before = defaultSpec('hello');
    assert.ok(!('volumes' in parseFunctionSpec(before)));
    const spec = {
      ...before,
      volumes: ['a:/b'],
      tmpfs: { '/run': 4096 },
      swapBytes: 0,
      inodes: 64,
    };
    assert.deepEqual(parseFunctionSpec(JSON.parse(JSON.stringify(spec))), spec);
  });

  it('refuses __proto__ everywhere and changes no prototype', () => {
    const json = JSON.stringify(defaultSpec('hello'));
    const inputs = [
      json.replace('{', '{"__proto__":{"polluted":1},'),
      json.replace('"env":{', '"env":{"__proto__":"x"'),
      json.replace('"labels":{', '"labels":{"__proto__":"x"'),
      json.replace('"scale":{', '"scale":{"__proto__":{"polluted":1},'),
    ];
    for (const input of inputs) {
      assert.throws(() => parseFunctionSpec(JSON.parse(input)), HearthError);
      assert.equal(({} as Record<string, unknown>).polluted, undefined);
    }
  });

  it('lists all problems at once', () => {
    const error = fault({ env: { 'A-B': 'x' }, pids: 0, name: 'A' });
    assert.equal(error.message.split('\n').length, 3);
    assert.equal(error.code, 'ConfigInvalid');
    assert.ok(Array.isArray(error.details?.problems));
  });
});

describe('FUNCTION_SCHEMA', () => {
  it('is what docs/function.schema.json publishes', () => {
    const published = readFileSync(join(packageRoot, 'docs/function.schema.json'), 'utf8');
    assert.deepEqual(JSON.parse(published), JSON.parse(JSON.stringify(FUNCTION_SCHEMA)));
  });

  it('agrees with the parser', () => {
    const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(FUNCTION_SCHEMA);
    const texts = [
      'name: hello\nmemory: 256Mi\ncpu: 0.5\ntimeout: 30s',
      'cpu: 500m\nscale: { min: 0, max: 2, idle: 1m }',
      'env: { A: "1" }\nlabels: { a.b/c: x }\nbuildArgs: { V: "1" }',
      'memory: 1.5GiB\ntimeout: 30\ngrace: 0',
      'memroy: 1',
      'memory: lots',
      'memory: 128',
      'concurrency: 0',
      'timeout: 0',
      'port: "80"',
      'env: { A: 1 }',
      'env: { HEARTH_A: x }',
      'env: { PORT: x }',
      'env: { A-B: x }',
      'runtime: ruby',
      'name: A',
      'dockerfile: ../x',
      'handler: /x',
      'handler: a/b..c.js',
      'scale: { mix: 1 }',
      'runtime: runsc',
      'disk: 1Gi\nshm: 4Ki\nswap: 0\ncpuWeight: 1\nopenFiles: 16\ninodes: 64',
      'egress: [10.0.0.0/8]\nvolumes: ["a:/b"]\ntmpfs: { /run: 1Mi }',
      'network: n\naliases: [a]\nociRuntime: x',
      'network: N',
      'tmpfs: { run: 1Mi }',
      'egress: 10.0.0.0/8',
    ];
    for (const text of texts) {
      let accepted = true;
      try {
        parseSpecFile(text, 'f');
      } catch {
        accepted = false;
      }
      assert.equal(validate(parse(text)), accepted, text);
    }
  });
});
