import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { HearthError } from '../../lib/errors.ts';
import { nearName, parseFunctionName } from '../../lib/names.ts';
import { defaultSpec, type PartialSpec } from '../../lib/spec/defaults.ts';
import { parseSpecFile } from '../../lib/spec/file.ts';
import { mergeSpec } from '../../lib/spec/merge.ts';
import type { FunctionSpec } from '../../lib/spec/spec.ts';
import { detectRuntime } from './detect-runtime.ts';

const SPEC_FILES = ['function.yaml', 'function.yml'];

/**
 * What the folder at `root` is as a function: flags over its `function.yaml` over what its files
 * show over defaults. `shown` is how messages name the folder.
 * @throws HearthError ContextInvalid, ConfigInvalid, EnvInvalid, EnvTooLarge, NameInvalid
 */
export function folderSpec(root: string, shown: string, flags: PartialSpec): FunctionSpec {
  const file = readSpecFile(root);
  const name = parseFunctionName(flags.name ?? file.name ?? nameOfFolder(root));
  const dockerfile = flags.dockerfile ?? file.dockerfile;
  const runtime = flags.runtime ?? file.runtime ?? findRuntime(root, shown, dockerfile);
  const spec = mergeSpec(defaultSpec(name), { ...file, name, runtime }, flags);
  if (spec.runtime === 'dockerfile') requireDockerfile(root, shown, spec.dockerfile);
  return spec;
}

function readSpecFile(root: string): PartialSpec {
  const name = SPEC_FILES.find((candidate) => existsSync(join(root, candidate)));
  return name === undefined ? {} : parseSpecFile(readFileSync(join(root, name), 'utf8'), name);
}

/** The folder's name, made valid; itself when that is impossible, so that the error shows it. */
function nameOfFolder(root: string): string {
  const name = basename(root);
  return nearName(name) ?? name;
}

function findRuntime(
  root: string,
  shown: string,
  dockerfile: string | undefined,
): FunctionSpec['runtime'] {
  if (dockerfile !== undefined) return 'dockerfile';
  const names = readdirSync(root);
  const found = detectRuntime(names, 'Dockerfile');
  if (found !== undefined) return found;
  throw new HearthError('ContextInvalid', `no Dockerfile in ${shown}${what(names)}`, {
    hint: 'create one or pass --file; package.json, index.js, requirements.txt or *.py work without',
  });
}

function what(names: readonly string[]): string {
  return names.length === 0 ? ': the folder is empty' : '';
}

function requireDockerfile(root: string, shown: string, dockerfile: string): void {
  if (existsSync(join(root, dockerfile))) return;
  throw new HearthError('ContextInvalid', `no ${dockerfile} in ${shown}`, {
    hint: 'create one or pass --file with its path inside the folder',
  });
}
