import { HearthError } from '../errors.ts';
import { parseFunctionName } from '../names.ts';
import { suggest } from '../suggest.ts';
import {
  LIST_FIELDS,
  type ListField,
  NAME_FIELDS,
  TMPFS_RULE,
  tmpfsBytes,
  tmpfsPathFault,
  togetherFaults,
} from './container-keys.ts';
import { checkEnvSize, checkEnvVariable } from './env.ts';
import {
  entriesMax,
  entryFault,
  MAP_KEYS,
  NUMBER_FIELDS,
  type NumberField,
  pathFault,
  RUNTIMES,
  SCALE_FIELDS,
} from './fields.ts';
import { type SpecProblem, showValue, throwProblems } from './problems.ts';
import type { ContainerKeys, FunctionSpec } from './spec.ts';

export { FUNCTION_SCHEMA } from './json-schema.ts';

const SPEC_KEYS: ReadonlySet<string> = new Set([
  'name',
  'runtime',
  'dockerfile',
  'handler',
  'scale',
  ...MAP_KEYS,
  ...NUMBER_FIELDS.map((field) => field.specKey),
  ...LIST_FIELDS.map((field) => field.key),
  ...NAME_FIELDS.map((field) => field.key),
  'tmpfs',
]);
const SCALE_KEYS: ReadonlySet<string> = new Set(SCALE_FIELDS.map((field) => field.specKey));

/**
 * A whole spec as the API takes it: every key present, every unit a number. The answer is a fresh
 * object that holds nothing else.
 * @throws HearthError NameInvalid, EnvInvalid, EnvTooLarge or ConfigInvalid with all problems
 */
export function parseFunctionSpec(value: unknown): FunctionSpec {
  const problems: SpecProblem[] = [];
  const input = readObject(value, 'spec', SPEC_KEYS, problems);
  if (input === undefined) throwProblems(problems);
  const from = input ?? new Map<string, unknown>();
  const scale = readObject(from.get('scale'), 'scale', SCALE_KEYS, problems);
  const spec = {
    name: readName(from.get('name'), problems),
    runtime: readRuntime(from.get('runtime'), problems),
    dockerfile: readPath('dockerfile', from.get('dockerfile'), problems),
    handler: readPath('handler', from.get('handler'), problems),
    buildArgs: readEntries('buildArgs', from.get('buildArgs'), problems),
    env: readEnv(from.get('env'), problems),
    labels: readEntries('labels', from.get('labels'), problems),
    ...readNumbers(NUMBER_FIELDS, '', from, problems),
    ...readContainerKeys(from, problems),
    scale: readNumbers(SCALE_FIELDS, 'scale.', scale ?? new Map(), scale ? problems : []),
  } as FunctionSpec;
  problems.push(...checkScale(spec), ...checkTogether(spec));
  throwProblems(problems);
  return spec;
}

/** `min` above `max`: the one rule that needs two keys. */
export function checkScale(spec: Pick<FunctionSpec, 'scale'>): SpecProblem[] {
  const { min, max } = spec.scale;
  if (!(min > max)) return [];
  const message = `scale.min must be <= scale.max (${max}): current value is ${min}`;
  return [{ code: 'ConfigInvalid', path: 'scale.min', message }];
}

/** What only shows when several keys are seen together. */
export function checkTogether(spec: Parameters<typeof togetherFaults>[0]): SpecProblem[] {
  return togetherFaults(spec).map(({ key, message }) => ({
    code: 'ConfigInvalid',
    path: key,
    message,
  }));
}

function invalid(path: string, fault: string, value: unknown): SpecProblem {
  const message = `${path} ${fault}: current value is ${showValue(value)}`;
  return { code: 'ConfigInvalid', path, message };
}

/** Own entries of a plain object; a Map, so that no key can reach a prototype. */
function readObject(
  value: unknown,
  path: string,
  known: ReadonlySet<string> | undefined,
  problems: SpecProblem[],
): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push(invalid(path, 'must be an object', value));
    return undefined;
  }
  const entries = new Map(Object.entries(value));
  for (const key of entries.keys()) {
    if (known === undefined || known.has(key)) continue;
    const prefix = path === 'spec' ? '' : `${path}.`;
    problems.push(unknownKey(prefix, key, known));
  }
  return entries;
}

/** The fault of a key that means nothing, with the key it may be a slip of. */
export function unknownKey(prefix: string, key: string, known: Iterable<string>): SpecProblem {
  const near = suggest(key, known);
  const question = near === undefined ? '' : ` (did you mean \`${prefix}${near}\`?)`;
  const shown = key.length > 64 ? `${key.slice(0, 64)}…` : key;
  const message = `unknown key \`${prefix}${shown}\`${question}`;
  return { code: 'ConfigInvalid', path: `${prefix}${shown}`, message };
}

function readName(value: unknown, problems: SpecProblem[]): string {
  const problem = nameProblem(value);
  if (problem !== undefined) problems.push(problem);
  return typeof value === 'string' ? value : '';
}

/** The fault of a function's name, if any, in the words of parseFunctionName. */
export function nameProblem(value: unknown): SpecProblem | undefined {
  if (typeof value !== 'string') {
    return { ...invalid('name', 'must be text', value), code: 'NameInvalid' };
  }
  try {
    parseFunctionName(value);
    return undefined;
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
    const { code, message, hint } = error;
    return { code, path: 'name', message, ...(hint === undefined ? {} : { hint }) };
  }
}

function readRuntime(value: unknown, problems: SpecProblem[]): FunctionSpec['runtime'] {
  const runtime = RUNTIMES.find((candidate) => candidate === value);
  if (runtime !== undefined) return runtime;
  problems.push(invalid('runtime', `must be one of ${RUNTIMES.join(', ')}`, value));
  return 'dockerfile';
}

function readPath(path: 'dockerfile' | 'handler', value: unknown, problems: SpecProblem[]): string {
  const fault = pathFault(value, { mayBeEmpty: path === 'handler' });
  if (fault !== undefined) problems.push(invalid(path, fault, value));
  return typeof value === 'string' ? value : '';
}

function readEnv(value: unknown, problems: SpecProblem[]): Record<string, string> {
  const entries = readObject(value, 'env', undefined, problems) ?? new Map<string, unknown>();
  for (const [name, text] of entries) {
    const problem = checkEnvVariable(name, text);
    if (problem !== undefined) problems.push(problem);
  }
  problems.push(...checkEnvSize(entries));
  return textRecord(entries);
}

function readEntries(
  path: 'labels' | 'buildArgs',
  value: unknown,
  problems: SpecProblem[],
): Record<string, string> {
  const entries = readObject(value, path, undefined, problems) ?? new Map<string, unknown>();
  problems.push(...entryProblems(path, entries));
  return textRecord(entries);
}

/** The faults of `labels` or `buildArgs`. */
export function entryProblems(
  path: 'labels' | 'buildArgs',
  entries: ReadonlyMap<string, unknown>,
): SpecProblem[] {
  const problems: SpecProblem[] = [];
  for (const [name, text] of entries) {
    const fault = entryFault(path, name, text);
    if (fault !== undefined) problems.push(invalid(`${path}.${name.slice(0, 64)}`, fault, text));
  }
  if (entries.size > entriesMax(path)) {
    problems.push(invalid(path, `must have at most ${entriesMax(path)} entries`, entries.size));
  }
  return problems;
}

/** What a function's containers are given, out of a body, with every fault of it. */
export function parseContainerKeys(body: Readonly<Record<string, unknown>>): {
  keys: ContainerKeys;
  problems: SpecProblem[];
} {
  const problems: SpecProblem[] = [];
  const input = new Map(Object.entries(body));
  const fields = NUMBER_FIELDS.filter((field) => field.optional === true);
  const numbers = readNumbers(fields, '', input, problems);
  const keys = { ...numbers, ...readContainerKeys(input, problems) };
  return { keys, problems };
}

/** Of these keys, all but the numbers. */
function readContainerKeys(
  input: ReadonlyMap<string, unknown>,
  problems: SpecProblem[],
): ContainerKeys {
  const keys: ContainerKeys = {};
  for (const field of LIST_FIELDS) {
    const value = input.get(field.key);
    if (value === undefined) continue;
    problems.push(...listProblems(field, value));
    keys[field.key] = Array.isArray(value) ? value.map(String) : [];
  }
  for (const field of NAME_FIELDS) {
    const value = input.get(field.key);
    if (value === undefined) continue;
    const fault = nameFault(field, value);
    if (fault !== undefined) problems.push(invalid(field.key, fault, value));
    keys[field.key] = String(value);
  }
  if (input.get('tmpfs') === undefined) return keys;
  const tmpfs = readObject(input.get('tmpfs'), 'tmpfs', undefined, problems) ?? new Map();
  for (const [target, size] of tmpfs) {
    const fault = tmpfsFault(target, typeof size === 'number' ? size : undefined);
    if (fault !== undefined) problems.push(invalid(`tmpfs.${target.slice(0, 64)}`, fault, size));
  }
  return { ...keys, tmpfs: Object.fromEntries(tmpfs) };
}

/** The faults of a list, its entries numbered from 0. */
export function listProblems(field: ListField, value: unknown): SpecProblem[] {
  const { key, max } = field;
  if (!Array.isArray(value)) return [invalid(key, 'must be a list of texts', value)];
  if (value.length > max) return [invalid(key, `must have at most ${max} entries`, value.length)];
  return value.flatMap((entry, n) => {
    const fault = typeof entry === 'string' ? field.fault(entry) : 'must be text';
    return fault === undefined ? [] : [invalid(`${key}[${n}]`, fault, entry)];
  });
}

/** What is wrong with one name, if anything. */
export function nameFault(
  { pattern }: (typeof NAME_FIELDS)[number],
  value: unknown,
): string | undefined {
  const matches = typeof value === 'string' && pattern.test(value) && !value.endsWith('\n');
  return matches ? undefined : `must match ${pattern.source}`;
}

/** What is wrong with one entry of `tmpfs`, if anything. */
export function tmpfsFault(target: string, size: unknown): string | undefined {
  return tmpfsPathFault(target) ?? (tmpfsBytes(size) === undefined ? TMPFS_RULE : undefined);
}

/** `Object.fromEntries` defines own properties: `__proto__` would be one like any other. */
function textRecord(entries: ReadonlyMap<string, unknown>): Record<string, string> {
  return Object.fromEntries(entries) as Record<string, string>;
}

function readNumbers<Key extends string>(
  fields: readonly NumberField<Key>[],
  prefix: string,
  input: ReadonlyMap<string, unknown>,
  problems: SpecProblem[],
): Record<Key, number> {
  const numbers: Partial<Record<Key, number>> = {};
  for (const { specKey, min, max, optional } of fields) {
    const value = input.get(specKey);
    if (optional === true && value === undefined) continue;
    numbers[specKey] = value as number;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) continue;
    problems.push(invalid(prefix + specKey, `must be an integer from ${min} to ${max}`, value));
  }
  return numbers as Record<Key, number>;
}
