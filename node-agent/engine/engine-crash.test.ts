import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { FAILPOINT_NAMES } from './failpoint-names.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { crashAtEach } from './testing/crash-run.ts';

const skip = missingForContainers() ?? false;
/** Each has two containers of its own; most of the time they wait for the kernel. */
const WORLDS = 3;

describe('kill -9 at each failpoint', { skip, concurrency: WORLDS }, () => {
  for (let n = 0; n < WORLDS; n++) {
    test(`the two that run go on, the third is whole or gone, world ${n}`, async (t) => {
      const points = FAILPOINT_NAMES.filter((_, at) => at % WORLDS === n);
      assert.deepEqual(await crashAtEach(t, points), []);
    });
  }
});

test('the table of failpoints is the code’s', () => {
  const folder = join(packageRoot, 'node-agent');
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(test|faults)\.ts$/.test(name))
    .map((name) => readFileSync(join(folder, name), 'utf8'));
  const called = sources.flatMap((text) =>
    [...text.matchAll(/failpoint\('([a-z.-]+)'\)/g)].map(([, name]) => name),
  );
  const named = FAILPOINT_NAMES.filter((name) => !name.startsWith('child.'));
  assert.deepEqual([...new Set(called)].sort(), [...named].sort());
  assert.ok(FAILPOINT_NAMES.length >= 40);
});
