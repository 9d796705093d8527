import { isDigest } from '../../lib/digest.ts';
import { HearthError } from '../../lib/errors.ts';
import { isRepository } from '../../lib/oci/reference.ts';
import type { ImageRef } from '../../lib/records.ts';
import { unknownKey } from '../../lib/spec/schema.ts';
import { formatBytes } from '../../lib/units.ts';

/** A JSON object of a body, nothing of which is known yet. */
export type Fields = Record<string, unknown>;

const FAULTS_MAX = 20;

/** Collects what is wrong with a body, so that one answer says all of it. */
export class Faults {
  readonly #what: string;
  readonly #shown: string[] = [];
  #count = 0;

  constructor(what: string) {
    this.#what = what;
  }

  /** A fault that takes long to say is a function: it is asked for only if it is shown. */
  add(fault: string | (() => string)): void {
    this.#count++;
    if (this.#shown.length === FAULTS_MAX) return;
    this.#shown.push(typeof fault === 'string' ? fault : fault());
  }

  /** @throws HearthError BadRequest with every fault */
  throwIfAny(): void {
    if (this.#count === 0) return;
    const rest = this.#count - this.#shown.length;
    const shown = rest > 0 ? [...this.#shown, `and ${rest} more`] : this.#shown;
    throw new HearthError('BadRequest', `${this.#what}: ${shown.join('; ')}`);
  }
}

/** The body as an object; empty, with a fault, when it is none. */
export function fieldsOf(value: unknown, faults: Faults): Fields {
  if (isObject(value)) return value;
  faults.add('the body must be a JSON object');
  return {};
}

/** Whether `value` is an object with keys, not a list. */
export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Adds a fault for each key that means nothing, with the key it may be a slip of. */
export function refuseUnknown(fields: Fields, known: readonly string[], faults: Faults): void {
  for (const key of Object.keys(fields)) {
    if (!known.includes(key)) faults.add(() => unknownKey('', key, known).message);
  }
}

/** A whole number within its bounds; the lower bound, with a fault, for anything else. */
export function integerOf(
  fields: Fields,
  name: string,
  [min, max]: readonly [number, number],
  faults: Faults,
): number {
  const value = fields[name];
  if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
  const isSize = name.endsWith('Bytes');
  const bounds = isSize ? ` (${formatBytes(min)} to ${formatBytes(max)})` : '';
  const size = isSize && Number.isFinite(value) ? ` (${formatBytes(Number(value))})` : '';
  faults.add(
    `${name} must be an integer from ${min} to ${max}${bounds}: current value is ${shown(value)}${size}`,
  );
  return min;
}

/** A text of `pattern`; empty, with a fault, for anything else. */
export function textOf(fields: Fields, name: string, pattern: RegExp, faults: Faults): string {
  const value = fields[name];
  if (typeof value === 'string' && pattern.test(value) && !value.endsWith('\n')) return value;
  faults.add(`${name} must match ${pattern.source}: current value is ${shown(value)}`);
  return '';
}

/** One of `words`; the first, with a fault, for anything else. */
export function oneOf<T extends string>(
  fields: Fields,
  name: string,
  words: readonly [T, ...T[]],
  faults: Faults,
): T {
  const found = words.find((word) => word === fields[name]);
  if (found !== undefined) return found;
  faults.add(`${name} must be ${words.join(' or ')}: current value is ${shown(fields[name])}`);
  return words[0];
}

/** An image by repository and digest. */
export function imageOf(value: unknown, faults: Faults): ImageRef {
  const none: ImageRef = { repository: '', digest: `sha256:${'0'.repeat(64)}` };
  const { repository, digest } = isObject(value) ? value : {};
  const isNamed = typeof repository === 'string' && isRepository(repository);
  if (isNamed && typeof digest === 'string' && isDigest(digest)) return { repository, digest };
  faults.add(`image must be {repository, digest}: current value is ${shown(value)}`);
  return none;
}

/** A found value for a message: short, on one line. */
export function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 80);
}
