import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { obtainK6 } from '../programs/k6.ts';
import { run } from '../programs/run.ts';
import { Platform, whyNotHere } from './platform.ts';

const SCRIPT = join(packageRoot, 'load-tests/k6/cold-start.js');
const EXAMPLE = join(packageRoot, 'functions-examples/hello-node');

/** Times are the machine's own affair: only what was answered, and from where, is asserted. */
const SETTINGS = {
  FUNCTION: 'hello-node',
  COLD_CALLS: '3',
  WARM_CALLS: '10',
  IDLE_SECONDS: '4',
  COLD_MS_MAX: '30000',
  WARM_MS_MAX: '10000',
};

test('k6 measures cold starts of a running platform', { skip: whyNotHere() }, async (t) => {
  const k6 = await obtainK6();
  if ('missing' in k6) return t.skip(`needs ${k6.missing}`);
  const platform = await new Platform().up();
  try {
    await platform.well('deploy', EXAMPLE, '--idle', '1s');
    const sets = Object.entries({ ...SETTINGS, HEARTH_URL: platform.url });
    const args = sets.flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    const ran = await run(k6.path, ['run', '--quiet', '--no-usage-report', ...args, SCRIPT]);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    const figures = ran.stdout.split('\n').filter((line) => /hearth_(cold|warm|phase)/.test(line));
    t.diagnostic(figures.map((line) => line.trim()).join('\n'));
  } finally {
    await platform.end();
  }
});
