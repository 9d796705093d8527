import type { PartialSpec } from './defaults.ts';
import { checkEnvSize, checkEnvVariable } from './env.ts';
import {
  MAP_KEYS,
  NUMBER_FIELDS,
  type NumberField,
  numberRule,
  pathFault,
  RUNTIMES,
  readNumber,
  SCALE_FIELDS,
} from './fields.ts';
import { type SpecProblem, showValue } from './problems.ts';
import { checkScale, entryProblems, nameProblem, unknownKey } from './schema.ts';

/** A key of a `function.yaml` with its value as written and its place. */
export type FileEntry = ScalarEntry | MapEntry;

interface Placed {
  key: string;
  line: number;
  column: number;
}

interface ScalarEntry extends Placed {
  kind: 'scalar';
  value: unknown;
  /** The value's text in the file, for units and messages. */
  source: string;
}

interface MapEntry extends Placed {
  kind: 'map';
  entries: FileEntry[];
}

/** All keys of a `function.yaml`. */
const FILE_KEYS: readonly string[] = [
  'name',
  'runtime',
  'dockerfile',
  'handler',
  ...MAP_KEYS,
  ...NUMBER_FIELDS.map((field) => field.fileKey),
  'scale',
];

/** The spec that the entries say, and every problem of them with its place. */
export function readSpecEntries(entries: readonly FileEntry[]): {
  spec: PartialSpec;
  problems: SpecProblem[];
} {
  const read = new EntryReader();
  for (const entry of entries) read.top(entry);
  return { spec: read.spec, problems: read.problems };
}

type TextKey = 'name' | 'runtime' | 'dockerfile' | 'handler';

class EntryReader {
  readonly spec: PartialSpec = {};
  readonly problems: SpecProblem[] = [];

  top(entry: FileEntry): void {
    const { key } = entry;
    const number = NUMBER_FIELDS.find((field) => field.fileKey === key);
    if (number !== undefined) {
      const value = this.#number(number, '', entry);
      if (value !== undefined) this.spec[number.specKey] = value;
    } else if (key === 'scale') this.#scale(entry);
    else if (key === 'env') this.#env(entry);
    else if (key === 'labels' || key === 'buildArgs') this.#entries(key, entry);
    else if (FILE_KEYS.includes(key)) this.#text(key as TextKey, entry);
    else this.#say(entry, unknownKey('', key, FILE_KEYS));
  }

  #text(key: TextKey, entry: FileEntry): void {
    const value = entry.kind === 'scalar' ? entry.value : {};
    if (key === 'name') {
      const problem = nameProblem(value);
      if (problem !== undefined) this.#say(entry, problem);
      else this.spec.name = String(value);
    } else if (key === 'runtime') {
      const runtime = RUNTIMES.find((candidate) => candidate === value);
      if (runtime !== undefined) this.spec.runtime = runtime;
      else this.#invalid(entry, key, `must be one of ${RUNTIMES.join(', ')}`);
    } else {
      const fault = pathFault(value, { mayBeEmpty: key === 'handler' });
      if (fault === undefined) this.spec[key] = String(value);
      else this.#invalid(entry, key, fault);
    }
  }

  #number(field: NumberField<string>, prefix: string, entry: FileEntry): number | undefined {
    const path = prefix + field.fileKey;
    // A quoted "3" is text where a plain number is meant, as the published schema says.
    const isText = entry.kind === 'scalar' && typeof entry.value === 'string';
    const isNumber = entry.kind === 'scalar' && typeof entry.value === 'number';
    if (entry.kind === 'map' || !(isNumber || (isText && field.unit !== 'count'))) {
      this.#invalid(entry, path, numberRule(field));
      return undefined;
    }
    const result = readNumber(field, String(entry.value));
    if ('value' in result) return result.value;
    this.#invalid(entry, path, result.fault, result.hint);
    return undefined;
  }

  #scale(entry: FileEntry): void {
    if (entry.kind === 'scalar') {
      if (entry.value !== null)
        this.#invalid(entry, 'scale', 'must be a mapping of min, max, idle');
      return;
    }
    const scale: NonNullable<PartialSpec['scale']> = {};
    for (const part of this.#parts(entry)) {
      const field = SCALE_FIELDS.find((candidate) => candidate.fileKey === part.key);
      if (field === undefined) {
        const known = SCALE_FIELDS.map((candidate) => candidate.fileKey);
        this.#say(part, unknownKey('scale.', part.key, known));
        continue;
      }
      const value = this.#number(field, 'scale.', part);
      if (value !== undefined) scale[field.specKey] = value;
    }
    if (scale.min !== undefined && scale.max !== undefined) {
      const at = this.#parts(entry).find((part) => part.key === 'min') ?? entry;
      const whole = { min: scale.min, max: scale.max, idleMs: 0 };
      for (const problem of checkScale({ scale: whole })) this.#say(at, problem);
    }
    this.spec.scale = scale;
  }

  #env(entry: FileEntry): void {
    const env = this.#map(entry);
    for (const part of this.#parts(entry)) {
      const problem = checkEnvVariable(part.key, env.get(part.key));
      if (problem !== undefined) this.#say(part, problem);
    }
    for (const problem of checkEnvSize(env)) this.#say(entry, problem);
    this.spec.env = Object.fromEntries(env) as Record<string, string>;
  }

  #entries(key: 'labels' | 'buildArgs', entry: FileEntry): void {
    const map = this.#map(entry);
    for (const problem of entryProblems(key, map)) {
      const name = problem.path.slice(key.length + 1);
      const part = this.#parts(entry).find((candidate) => candidate.key.startsWith(name));
      this.#say(name === '' ? entry : (part ?? entry), problem);
    }
    this.spec[key] = Object.fromEntries(map) as Record<string, string>;
  }

  /** The entries of a map; none with a problem for a scalar, nothing for an empty value. */
  #parts(entry: FileEntry): readonly FileEntry[] {
    return entry.kind === 'map' ? entry.entries : [];
  }

  #map(entry: FileEntry): Map<string, unknown> {
    if (entry.kind === 'map') {
      return new Map(entry.entries.map((part) => [part.key, entryValue(part)]));
    }
    if (entry.value !== null) this.#invalid(entry, entry.key, 'must be a mapping of names to text');
    return new Map();
  }

  #invalid(entry: FileEntry, path: string, fault: string, hint?: string): void {
    const message = `${path} ${fault}: current value is ${showEntry(entry)}`;
    const more = hint === undefined ? {} : { hint };
    this.#say(entry, { code: 'ConfigInvalid', path, message, ...more });
  }

  #say(entry: FileEntry, problem: SpecProblem): void {
    this.problems.push({ ...problem, line: entry.line, column: entry.column });
  }
}

function entryValue(entry: FileEntry): unknown {
  return entry.kind === 'map' ? {} : entry.value;
}

/** The value as the file has it: `64KB` without quotes. */
function showEntry(entry: FileEntry): string {
  if (entry.kind === 'map') return 'a mapping';
  if (typeof entry.value === 'object' && entry.value !== null) return showValue(entry.value);
  if (entry.value === null) return 'empty';
  const text = entry.source === '' ? '""' : entry.source.replace(/\s+/g, ' ');
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
