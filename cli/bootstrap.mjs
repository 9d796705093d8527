#!/usr/bin/env node
// The way in for `npm run …` on a machine that has nothing but some Node: brings the packages, the
// programs and the compiled code up to date, says each thing it does, and hands over to the
// project's own Node 24. Everything here runs on Node 20 with nothing installed.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from './bootstrap/compile.mjs';
import { installPackages } from './bootstrap/npm-packages.mjs';
import { fail, root, runStep, waitFor } from './bootstrap/process.mjs';
import { installPrograms } from './bootstrap/programs.mjs';

const NODE_MAJOR_MIN = 20;
/** That of `hearth up` for the same reason. */
const FORBIDDEN_EXIT = 4;

const STEPS = {
  quickstart: { programs: 'run', asRoot: true, start: ['dist/cli/main.js', 'quickstart'] },
  up: { programs: 'run', asRoot: true, start: ['dist/cli/main.js', 'up'] },
  bench: { programs: 'run', asRoot: true, start: ['dist/load-tests/main.js'] },
  test: { programs: 'test', gate: true, start: ['cli/bootstrap/run-tests.mjs'] },
  faults: { programs: 'test', asRoot: true, start: ['cli/bootstrap/run-tests.mjs', '--faults'] },
  'test:v2': { programs: 'emulator', start: ['dist/load-tests/v2/main.js'] },
  check: { programs: 'none', gate: true, start: ['cli/bootstrap/run-tests.mjs', 'architecture'] },
  build: { programs: 'none' },
};

async function main([name = '', ...args]) {
  const step = Object.hasOwn(STEPS, name) ? STEPS[name] : undefined;
  if (step === undefined) {
    fail(`unknown step "${name}"`, `one of ${Object.keys(STEPS).join(', ')}`, 2);
  }
  const major = Number(process.versions.node.split('.')[0]);
  if (major < NODE_MAJOR_MIN) {
    fail(`Node ${process.versions.node} is too old`, `install Node ${NODE_MAJOR_MIN} or newer`, 2);
  }
  if (step.asRoot === true && process.getuid?.() !== 0) {
    // sudo looks in folders of its own, which have no Node that a version manager brought.
    const hint = `sudo env "PATH=$PATH" npm run ${name}`;
    fail(`npm run ${name} must run as root: it makes containers itself`, hint, FORBIDDEN_EXIT);
  }
  process.chdir(root);
  installPackages();
  installPrograms(step.programs);
  compile();
  if (step.gate === true) gate();
  if (step.start === undefined) return 0;
  const [file, ...first] = step.start;
  if (!existsSync(join(root, file))) fail(`${file} is missing`, 'delete dist/ and try again', 1);
  return waitFor(join(root, 'node_modules/.bin/node'), [file, ...first, ...args]);
}

/** Format, lint and dead code; types were checked by compiling, imports are checked by a test. */
function gate() {
  const biome = 'node_modules/@biomejs/biome/bin/biome';
  runStep('format and lint', [biome, 'check', '.']);
  runStep('unused code', ['node_modules/knip/bin/knip.js', '--no-progress']);
}

process.exitCode = await main(process.argv.slice(2));
