import type { PartialSpec } from '../../lib/spec/defaults.ts';
import {
  NUMBER_FIELDS,
  OCI_RUNTIMES,
  RUNTIMES,
  readNumber,
  SCALE_FIELDS,
} from '../../lib/spec/fields.ts';
import { suggest } from '../../lib/suggest.ts';
import { usageError } from '../errors.ts';
import { readPairs } from '../pairs.ts';

/** `hearth deploy`'s flags about the function itself, as commander hands them over. */
export interface SpecFlags {
  name?: string;
  env?: string[];
  buildArg?: string[];
  label?: string[];
  memory?: string;
  cpu?: string;
  timeout?: string;
  concurrency?: string;
  min?: string;
  max?: string;
  idle?: string;
  port?: string;
  disk?: string;
  swap?: string;
  shm?: string;
  file?: string;
  runtime?: string;
  handler?: string;
}

/**
 * The flags as a part of a spec.
 * @throws HearthError UsageInvalid that names every bad flag, each with the value found
 */
export function specOfFlags(flags: SpecFlags, env: NodeJS.ProcessEnv = process.env): PartialSpec {
  const faults: string[] = [];
  const spec = {
    ...numbers(NUMBER_FIELDS, flags, faults),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.file === undefined ? {} : { dockerfile: flags.file }),
    ...(flags.handler === undefined ? {} : { handler: flags.handler }),
    ...runtime(flags.runtime, faults),
    env: readPairs(flags.env, { flag: '--env', env, faults }),
    buildArgs: readPairs(flags.buildArg, { flag: '--build-arg', env, faults }),
    labels: readPairs(flags.label, { flag: '--label', env, faults }),
    scale: numbers(SCALE_FIELDS, flags, faults),
  } as PartialSpec;
  if (faults.length > 0) throw usageError(faults.join('; '));
  return spec;
}

type Fields = typeof NUMBER_FIELDS | typeof SCALE_FIELDS;

function numbers(fields: Fields, flags: SpecFlags, faults: string[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const field of fields) {
    const text = (flags as Record<string, unknown>)[field.fileKey];
    if (typeof text !== 'string') continue;
    const result = readNumber(field, text);
    if ('value' in result) found[field.specKey] = result.value;
    else faults.push(fault(field.fileKey, text, result));
  }
  return found;
}

function fault(flag: string, text: string, result: { fault: string; hint?: string }): string {
  const hint = result.hint === undefined ? '' : ` (${result.hint})`;
  return `--${flag} ${result.fault}: current value is "${text}"${hint}`;
}

function runtime(
  text: string | undefined,
  faults: string[],
): Pick<PartialSpec, 'runtime' | 'ociRuntime'> {
  if (text === undefined) return {};
  const known = RUNTIMES.find((name) => name === text);
  if (known !== undefined) return { runtime: known };
  if (OCI_RUNTIMES.includes(text)) return { ociRuntime: text };
  const all = [...RUNTIMES, ...OCI_RUNTIMES];
  const near = suggest(text, all);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  faults.push(`--runtime must be ${all.join(', ')}: current value is "${text}"${hint}`);
  return {};
}
