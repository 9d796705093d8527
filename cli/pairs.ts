import { usageError } from './errors.ts';

/** Where values of bare names come from, and where faults are told. */
export interface PairOptions {
  flag: string;
  env: NodeJS.ProcessEnv;
  faults: string[];
}

/** `K=V` each; `K` alone takes its value from the environment, as docker run does. */
export function readPairs(
  words: readonly string[] | undefined,
  { flag, env, faults }: PairOptions,
): Record<string, string> {
  const found = new Map<string, string>();
  for (const word of words ?? []) {
    const at = word.indexOf('=');
    const name = at === -1 ? word : word.slice(0, at);
    const value = at === -1 ? env[name] : word.slice(at + 1);
    if (name === '') faults.push(`${flag} must be NAME=VALUE: current value is "${word}"`);
    else if (value === undefined) faults.push(`${flag} ${name}: no value given, none is set here`);
    else found.set(name, value);
  }
  return Object.fromEntries(found);
}

/** As `readPairs`. @throws HearthError UsageInvalid that names every bad word */
export function parsePairs(
  flag: string,
  words: readonly string[] | undefined,
): Record<string, string> {
  const faults: string[] = [];
  const pairs = readPairs(words, { flag, env: process.env, faults });
  if (faults.length > 0) throw usageError(faults.join('; '));
  return pairs;
}
