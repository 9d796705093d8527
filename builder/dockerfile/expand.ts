import { LIMITS } from '../../lib/limits.ts';

export interface ExpandOptions {
  /** Value of a variable; undefined if it is not set. */
  lookup(name: string): string | undefined;
  escapeSign: string;
  /** Here-document bodies: quotes are plain signs there. */
  quotesAreText?: boolean;
}

/** Modifiers of `${name…word}` that are understood. */
type Modifier = '-' | '+' | '?';

const DEPTH_MAX = 20;

/**
 * Replaces variables and removes quotes and escapes, as Docker does for every instruction but RUN,
 * CMD and ENTRYPOINT (BuildKit's `shell.Lex`): `$v`, `${v}`, `${v:-w}`, `${v:+w}`, `${v:?w}` and
 * the three without a colon. Single quotes keep everything, a variable not set is empty.
 * @throws Error with the reason, for text that is none of these
 */
export function expand(text: string, options: ExpandOptions): string {
  const reader = new Reader(text, options);
  return reader.untilEnd();
}

class Reader {
  readonly #text: string;
  readonly #options: ExpandOptions;
  #at = 0;
  #depth = 0;

  constructor(text: string, options: ExpandOptions) {
    this.#text = text;
    this.#options = options;
  }

  untilEnd(): string {
    return this.#until('');
  }

  /** Reads up to `stop` (taken, not kept); empty: up to the end. */
  #until(stop: string): string {
    let out = '';
    while (this.#at < this.#text.length) {
      const sign = this.#peek();
      if (sign === stop) {
        this.#at++;
        return out;
      }
      out += this.#piece(sign);
      if (out.length > LIMITS.dockerfileValueBytesMax) {
        throw new Error(`value is longer than ${LIMITS.dockerfileValueBytesMax} signs`);
      }
    }
    if (stop !== '') throw new Error(`"\${" without its "${stop}"`);
    return out;
  }

  #piece(sign: string): string {
    const { escapeSign, quotesAreText = false } = this.#options;
    if (sign === '$') return this.#variable();
    if (sign === "'" && !quotesAreText) return this.#singleQuoted();
    if (sign === '"' && !quotesAreText) return this.#doubleQuoted();
    this.#at++;
    if (sign !== escapeSign) return sign;
    const next = this.#peek();
    if (quotesAreText && next !== '$' && next !== escapeSign) return sign;
    this.#at++;
    return next;
  }

  #singleQuoted(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end === -1) throw new Error("a ' without its partner");
    const inside = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return inside;
  }

  #doubleQuoted(): string {
    this.#at++;
    let out = '';
    while (this.#at < this.#text.length) {
      const sign = this.#peek();
      if (sign === '$') {
        out += this.#variable();
        continue;
      }
      this.#at++;
      if (sign === '"') return out;
      out += sign === this.#options.escapeSign ? this.#escapedInQuotes(sign) : sign;
    }
    throw new Error('a " without its partner');
  }

  /** Inside double quotes only these three can be escaped; any other backslash stays. */
  #escapedInQuotes(sign: string): string {
    const next = this.#peek();
    if (next !== '"' && next !== '$' && next !== sign) return sign;
    this.#at++;
    return next;
  }

  #variable(): string {
    this.#at++;
    if (this.#peek() === '{') return this.#braced();
    const name = this.#name();
    return name === '' ? '$' : (this.#options.lookup(name) ?? '');
  }

  #braced(): string {
    this.#at++;
    if (++this.#depth > DEPTH_MAX) throw new Error(`"\${" nested deeper than ${DEPTH_MAX}`);
    const name = this.#name();
    if (name === '') throw new Error('bad substitution: no name after "${"');
    const value = this.#options.lookup(name);
    const result = this.#modified(name, value);
    this.#depth--;
    return result;
  }

  #modified(name: string, value: string | undefined): string {
    let sign = this.#next();
    if (sign === '}') return value ?? '';
    const emptyIsUnset = sign === ':';
    if (emptyIsUnset) sign = this.#next();
    if (sign !== '-' && sign !== '+' && sign !== '?') {
      const shown = sign === '' ? 'the end' : `"${sign}"`;
      throw new Error(
        `bad substitution: ${shown} after "\${${name}"; known are - + ? and :- :+ :?`,
      );
    }
    const word = this.#until('}');
    const isSet = value !== undefined && !(emptyIsUnset && value === '');
    return choose(sign, { name, value: isSet ? value : undefined, word });
  }

  /** A shell name, or one of the positional and special parameters, which are never set. */
  #name(): string {
    const match = /^([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?!$-])/.exec(
      this.#text.slice(this.#at, this.#at + 256),
    );
    this.#at += match?.[0].length ?? 0;
    return match?.[0] ?? '';
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #next(): string {
    return this.#text[this.#at++] ?? '';
  }
}

function choose(
  modifier: Modifier,
  { name, value, word }: { name: string; value: string | undefined; word: string },
): string {
  if (modifier === '-') return value ?? word;
  if (modifier === '+') return value === undefined ? '' : word;
  if (value === undefined) throw new Error(`${name}: ${word === '' ? 'is not set' : word}`);
  return value;
}
