import { isDeepStrictEqual } from 'node:util';

/** What of a config would not be honoured, and where it stands: `linux.namespaces[1].path`. */
export interface Refusal {
  path: string;
  message: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads values of a config whose text anybody may have written; collects what is refused. */
export class ConfigReader {
  readonly refusals: Refusal[] = [];

  refuse(path: string, message: string): void {
    this.refusals.push({ path, message });
  }

  /** The fields of an object; every key beside `known` that says anything is refused. */
  object(value: unknown, path: string, known: readonly string[]): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.refuse(path, 'must be an object');
      return {};
    }
    for (const [key, inner] of Object.entries(value)) {
      const at = path === '' ? key : `${path}.${key}`;
      if (!known.includes(key) && !isEmpty(inner)) this.refuse(at, 'would not be honoured');
    }
    return value as Fields;
  }

  list(value: unknown, path: string): readonly unknown[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.refuse(path, 'must be a list');
    return [];
  }

  text(value: unknown, path: string): string {
    if (typeof value === 'string') return value;
    this.refuse(path, 'must be text');
    return '';
  }

  texts(value: unknown, path: string): string[] {
    return this.list(value, path).map((entry, n) => this.text(entry, `${path}[${n}]`));
  }

  /** Text by name. */
  map(value: unknown, path: string): Record<string, string> {
    if (value === undefined) return {};
    const fields = Object.entries(this.object(value, path, Object.keys(value ?? {})));
    return Object.fromEntries(
      fields.map(([key, inner]) => [key, this.text(inner, `${path}.${key}`)]),
    );
  }

  whole(value: unknown, path: string): number {
    if (Number.isSafeInteger(value) && Number(value) >= 0) return Number(value);
    this.refuse(path, 'must be a whole number');
    return 0;
  }

  /** Refuses all but one value: the engine does this and nothing else. */
  same(value: unknown, wanted: unknown, path: string): void {
    if (isDeepStrictEqual(value, wanted)) return;
    this.refuse(path, `must be as the engine does it: ${shown(wanted)}`);
  }
}

/** A key that says nothing asks for nothing. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

const SHOWN_LENGTH_MAX = 200;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}…` : text;
}
