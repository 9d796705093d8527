import { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { unknownKey } from '../../lib/spec/schema.ts';
import { parseSignal } from './signals.ts';

/** What stands behind a path's `?`; a key given twice is a list, which no key may be. */
type Query = Readonly<Record<string, string | string[] | undefined>>;

const SHOWN_MAX = 80;

/** A query of which only `known` keys mean something. @throws HearthError BadRequest */
export function queryOf<K extends string>(
  value: unknown,
  known: readonly K[],
): Partial<Record<K, string>> {
  const query = (value ?? {}) as Query;
  for (const [key, text] of Object.entries(query)) {
    if (!known.includes(key as K))
      throw invalid(
        unknownKey(
          '?',
          key,
          known.map((k) => k),
        ).message,
      );
    if (typeof text !== 'string') throw invalid(`${key} is given more than once`);
  }
  return query as Partial<Record<K, string>>;
}

/** `1`, `true` or no value at all: yes. */
export function flagIn(text: string | undefined, key: string): boolean {
  if (text === undefined || ['0', 'false'].includes(text)) return false;
  if (['', '1', 'true'].includes(text)) return true;
  throw invalid(`${key} must be 1 or 0: current value is ${shown(text)}`);
}

/** A whole number within its bounds; undefined when none was given. @throws HearthError BadRequest */
export function numberIn(
  text: string | undefined,
  key: string,
  [min, max]: readonly [number, number],
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw invalid(`${key} must be an integer from ${min} to ${max}: current value is ${shown(text)}`);
}

/** Number of lines; `all` is as many as are shown at most. @throws HearthError BadRequest */
export function tailIn(text: string | undefined): number {
  if (text === 'all') return LIMITS.logTailLinesMax;
  return numberIn(text, 'tail', [0, LIMITS.logTailLinesMax]) ?? LIMITS.logTailLinesDefault;
}

/** A signal's name; `fallback` when none was given. @throws HearthError BadRequest */
export function signalIn(text: string | undefined, fallback: NodeJS.Signals): NodeJS.Signals {
  if (text === undefined) return fallback;
  const signal = parseSignal(text);
  if (signal !== undefined) return signal;
  throw new HearthError('BadRequest', `signal ${shown(text)} is none`, {
    hint: 'name one as kill -l does, such as SIGHUP, or give its number',
  });
}

/** An absolute path in a container. @throws HearthError BadRequest */
export function pathIn(text: string | undefined): string {
  const bytes = Buffer.byteLength(text ?? '');
  if (text?.startsWith('/') !== true || text.includes('\0') || bytes > LIMITS.pathBytesMax) {
    throw invalid(
      `path must be an absolute path in the container: current value is ${shown(text)}`,
    );
  }
  return text;
}

function invalid(message: string): HearthError {
  return new HearthError('BadRequest', message);
}

function shown(text: string | undefined): string {
  return text === undefined ? 'missing' : JSON.stringify(text.slice(0, SHOWN_MAX));
}
