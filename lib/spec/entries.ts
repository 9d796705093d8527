import { suggest } from '../suggest.ts';
import { LIST_FIELDS, type ListField, NAME_FIELDS, tmpfsBytes } from './container-keys.ts';
import type { PartialSpec } from './defaults.ts';
import { checkEnvSize, checkEnvVariable } from './env.ts';
import {
  MAP_KEYS,
  NUMBER_FIELDS,
  type NumberField,
  numberRule,
  OCI_RUNTIMES,
  pathFault,
  RUNTIMES,
  readNumber,
  SCALE_FIELDS,
} from './fields.ts';
import { type SpecProblem, showValue } from './problems.ts';
import {
  checkScale,
  checkTogether,
  entryProblems,
  listProblems,
  nameFault,
  nameProblem,
  tmpfsFault,
  unknownKey,
} from './schema.ts';

/** A key of a `function.yaml` with its value as written and its place. */
export type FileEntry = ScalarEntry | MapEntry | ListEntry;

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

interface ListEntry extends Placed {
  kind: 'list';
  items: ListItem[];
}

/** One value of a list. */
export interface ListItem {
  line: number;
  column: number;
  value: unknown;
  source: string;
}

/** All keys of a `function.yaml`. */
const FILE_KEYS: readonly string[] = [
  'name',
  'runtime',
  'dockerfile',
  'handler',
  ...MAP_KEYS,
  ...NUMBER_FIELDS.map((field) => field.fileKey),
  ...LIST_FIELDS.map((field) => field.key),
  ...NAME_FIELDS.map((field) => field.key),
  'tmpfs',
  'scale',
];

/** The spec that the entries say, and every problem of them with its place. */
export function readSpecEntries(entries: readonly FileEntry[]): {
  spec: PartialSpec;
  problems: SpecProblem[];
} {
  const read = new EntryReader();
  for (const entry of entries) read.top(entry);
  read.together(entries);
  return { spec: read.spec, problems: read.problems };
}

type TextKey = 'name' | 'runtime' | 'dockerfile' | 'handler';

class EntryReader {
  readonly spec: PartialSpec = {};
  readonly problems: SpecProblem[] = [];

  top(entry: FileEntry): void {
    const { key } = entry;
    const number = NUMBER_FIELDS.find((field) => field.fileKey === key);
    const list = LIST_FIELDS.find((field) => field.key === key);
    const name = NAME_FIELDS.find((field) => field.key === key);
    if (number !== undefined) {
      const value = this.#number(number, '', entry);
      if (value !== undefined) this.spec[number.specKey] = value;
    } else if (list !== undefined) this.#list(list, entry);
    else if (name !== undefined) this.#name(name, entry);
    else if (key === 'tmpfs') this.#tmpfs(entry);
    else if (key === 'scale') this.#scale(entry);
    else if (key === 'env') this.#env(entry);
    else if (key === 'labels' || key === 'buildArgs') this.#entries(key, entry);
    else if (FILE_KEYS.includes(key)) this.#text(key as TextKey, entry);
    else this.#say(entry, unknownKey('', key, FILE_KEYS));
  }

  #text(key: TextKey, entry: FileEntry): void {
    const value = entryValue(entry);
    if (key === 'name') {
      const problem = nameProblem(value);
      if (problem !== undefined) this.#say(entry, problem);
      else this.spec.name = String(value);
    } else if (key === 'runtime') {
      this.#runtime(entry, value);
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
    if (entry.kind !== 'scalar' || !(isNumber || (isText && field.unit !== 'count'))) {
      this.#invalid(entry, path, numberRule(field));
      return undefined;
    }
    const result = readNumber(field, String(entry.value));
    if ('value' in result) return result.value;
    this.#invalid(entry, path, result.fault, result.hint);
    return undefined;
  }

  #runtime(entry: FileEntry, value: unknown): void {
    const runtime = RUNTIMES.find((candidate) => candidate === value);
    const other = OCI_RUNTIMES.find((candidate) => candidate === value);
    if (runtime !== undefined) this.spec.runtime = runtime;
    else if (other !== undefined) this.#otherRuntime(entry, other);
    else {
      const all = [...RUNTIMES, ...OCI_RUNTIMES];
      const near = typeof value === 'string' ? suggest(value, all) : undefined;
      const more = near === undefined ? '' : ` (did you mean ${near}?)`;
      this.#invalid(entry, 'runtime', `must be one of ${all.join(', ')}${more}`);
    }
  }

  /** A well-known one may be named in two places. */
  #otherRuntime(entry: FileEntry, name: string): void {
    const { ociRuntime } = this.spec;
    if (ociRuntime === undefined || ociRuntime === name) this.spec.ociRuntime = name;
    else this.#invalid(entry, entry.key, `names another runtime than before, "${ociRuntime}"`);
  }

  #list(field: ListField, entry: FileEntry): void {
    if (entry.kind === 'scalar' && entry.value === null) return;
    if (entry.kind !== 'list') {
      this.#invalid(entry, field.key, 'must be a list of texts');
      return;
    }
    const values = entry.items.map(({ value }) => value);
    for (const problem of listProblems(field, values)) {
      const at = entry.items[Number(/\[(\d+)\]$/.exec(problem.path)?.[1])] ?? entry;
      this.problems.push({ ...problem, line: at.line, column: at.column });
    }
    this.spec[field.key] = values.map(String);
  }

  #name(field: (typeof NAME_FIELDS)[number], entry: FileEntry): void {
    const fault = nameFault(field, entryValue(entry));
    if (fault !== undefined) this.#invalid(entry, field.key, fault);
    else if (field.key === 'ociRuntime') this.#otherRuntime(entry, String(entryValue(entry)));
    else this.spec.network = String(entryValue(entry));
  }

  #tmpfs(entry: FileEntry): void {
    const tmpfs: Record<string, number> = {};
    const sizes = this.#map(entry, 'paths to sizes');
    for (const part of this.#parts(entry)) {
      const bytes = tmpfsBytes(sizes.get(part.key));
      const fault = tmpfsFault(part.key, bytes);
      if (fault !== undefined) this.#invalid(part, `tmpfs.${part.key.slice(0, 64)}`, fault);
      else if (bytes !== undefined) tmpfs[part.key] = bytes;
    }
    this.spec.tmpfs = tmpfs;
  }

  /** Faults of keys that are seen together, at the first of them. */
  together(entries: readonly FileEntry[]): void {
    for (const problem of checkTogether(this.spec)) {
      const fileKey = NUMBER_FIELDS.find(({ specKey }) => specKey === problem.path)?.fileKey;
      const at = entries.find(({ key }) => key === (fileKey ?? problem.path)) ?? entries[0];
      if (at !== undefined) this.#say(at, problem);
    }
  }

  #scale(entry: FileEntry): void {
    if (entry.kind !== 'map') {
      if (entryValue(entry) !== null)
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

  #map(entry: FileEntry, what = 'names to text'): Map<string, unknown> {
    if (entry.kind === 'map') {
      return new Map(entry.entries.map((part) => [part.key, entryValue(part)]));
    }
    if (entryValue(entry) !== null) this.#invalid(entry, entry.key, `must be a mapping of ${what}`);
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
  if (entry.kind === 'list') return [];
  return entry.kind === 'map' ? {} : entry.value;
}

/** The value as the file has it: `64KB` without quotes. */
function showEntry(entry: FileEntry): string {
  if (entry.kind !== 'scalar') return entry.kind === 'map' ? 'a mapping' : 'a list';
  if (typeof entry.value === 'object' && entry.value !== null) return showValue(entry.value);
  if (entry.value === null) return 'empty';
  const text = entry.source === '' ? '""' : entry.source.replace(/\s+/g, ' ');
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
