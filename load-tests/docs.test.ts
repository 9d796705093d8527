import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../lib/paths.ts';

const FOLDERS = ['builder', 'gateway', 'lib', 'node-agent', 'scheduler'];

function sources(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(join(packageRoot, folder, name), 'utf8')),
  );
}

test('docs/metrics.md names the metrics that there are', () => {
  const documented = readFileSync(join(packageRoot, 'docs/metrics.md'), 'utf8');
  const text = sources().join('\n');
  const missing = [...text.matchAll(/name: '(hearth_[a-z_]+)'/g)]
    .map(([, name]) => name ?? '')
    .filter((name) => !documented.includes(`\`${name}\``));
  assert.deepEqual(missing, []);
  const invented = [...documented.matchAll(/`(hearth_([a-z]+)_([a-z_]+))`/g)].filter(
    // Some names are put together: component and last part.
    ([, name = '', , last = '']) => !text.includes(`'${name}'`) && !text.includes(`'${last}'`),
  );
  assert.deepEqual(
    invented.map(([name]) => name),
    [],
  );
});

test('docs/security.md names tests that there are, and each has the hole’s name', () => {
  const text = readFileSync(join(packageRoot, 'docs/security.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| CVE-'));
  const missing = rows.flatMap((row) => {
    const [, names = '', , files = ''] = row.split('|');
    const tests = [...files.matchAll(/`([^`]+)`/g)].map(([, file = '']) =>
      readFileSync(join(packageRoot, file), 'utf8'),
    );
    return names.split(',').flatMap((name) => {
      const isThere = tests.length > 0 && tests.some((test) => test.includes(name.trim()));
      return isThere ? [] : [name.trim()];
    });
  });
  assert.deepEqual(missing, []);
  assert.ok(rows.length > 15);
  const files = [...FOLDERS, 'load-tests'].flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' }),
  );
  for (const [, kind, word = ''] of text.matchAll(/`npm (test|run faults) -- ([^`]+)`/g)) {
    const end = kind === 'test' ? '.test.ts' : '.faults.ts';
    assert.ok(
      files.some((file) => file.includes(word) && file.endsWith(end)),
      word,
    );
  }
});
