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
