import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HearthError } from '../../lib/errors.ts';
import type { ImageConfig } from '../../lib/oci/types.ts';
import { packageRoot } from '../../lib/paths.ts';
import { parseDockerfile } from './parse.ts';
import { planBuild } from './plan.ts';
import type { BuildPlan } from './plan-types.ts';
import { resolveStages } from './stages.ts';

const FOLDER = join(packageRoot, 'builder/dockerfile');
/** Writes the results anew instead of comparing: read the difference before you commit it. */
const UPDATE = process.env.HEARTH_UPDATE_GOLDEN === '1';

const BASE: ImageConfig = {
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['PATH=/usr/bin:/bin', 'BASE=yes'], Cmd: ['base'], WorkingDir: '/base' },
  rootfs: { type: 'layers', diff_ids: [] },
};

for (const name of readdirSync(join(FOLDER, 'testfiles'))) {
  test(`plan of testfiles/${name}`, () => {
    compare(join(FOLDER, 'testfiles', name), `${JSON.stringify(planOf(name), undefined, 1)}\n`);
  });
}

for (const name of readdirSync(join(FOLDER, 'testfiles-negative'))) {
  test(`refusal of testfiles-negative/${name}`, () => {
    const folder = join(FOLDER, 'testfiles-negative', name);
    assert.throws(
      () => plan(folder),
      (error) => {
        assert.ok(error instanceof HearthError, String(error));
        compare(folder, `${error.code} ${error.message}\n${error.hint ?? ''}\n`);
        return true;
      },
    );
  });
}

function planOf(name: string): unknown {
  const { stages, warnings } = plan(join(FOLDER, 'testfiles', name));
  return {
    warnings,
    stages: stages.map(({ steps, ...stage }) => ({
      ...stage,
      steps: steps.map(({ step, text, location, createdBy, action }) => ({
        at: `${step} ${location.line}:${location.column} ${text}`,
        ...(action.do === 'config' ? {} : { createdBy }),
        ...action,
      })),
    })),
  };
}

function plan(folder: string): BuildPlan {
  const argsFile = join(folder, 'build-args.json');
  const buildArgs: Record<string, string> = existsSync(argsFile)
    ? JSON.parse(readFileSync(argsFile, 'utf8'))
    : {};
  const { instructions, warnings } = parseDockerfile(
    readFileSync(join(folder, 'Dockerfile'), 'utf8'),
  );
  const platform = { os: 'linux', architecture: 'amd64' };
  const graph = resolveStages(instructions, { buildArgs, platform });
  const configs = new Map(graph.images.map((image) => [image, BASE]));
  const built = planBuild(graph, { buildArgs, configs });
  return { ...built, warnings: [...warnings, ...built.warnings] };
}

function compare(folder: string, result: string): void {
  const path = join(folder, 'result');
  if (UPDATE) writeFileSync(path, result);
  assert.equal(result, readFileSync(path, 'utf8'));
}
