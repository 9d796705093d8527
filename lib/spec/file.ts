import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { HearthError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { formatBytes } from '../units.ts';
import type { PartialSpec } from './defaults.ts';
import { type FileEntry, type ListItem, readSpecEntries } from './entries.ts';
import { type SpecProblem, throwProblems } from './problems.ts';

export type { PartialSpec } from './defaults.ts';
export { mergeSpec } from './merge.ts';

/**
 * What a `function.yaml` says (YAML 1.2 core schema). An empty file says nothing.
 * `fileName` is how messages name the file.
 * @throws HearthError ConfigInvalid, EnvInvalid, EnvTooLarge or NameInvalid: every problem, each
 * with file, line and column, in the order of the lines
 */
export function parseSpecFile(text: string, fileName: string): PartialSpec {
  if (Buffer.byteLength(text) > LIMITS.specFileBytesMax) {
    const limit = formatBytes(LIMITS.specFileBytesMax);
    throw new HearthError('ConfigInvalid', `${fileName}: larger than the limit of ${limit}`);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    schema: 'core',
    version: '1.2',
    logLevel: 'error',
  });
  const reader = new DocumentReader(fileName, lines, (alias) => alias.resolve(document));
  const syntax = document.errors.map((error) => reader.syntaxProblem(error));
  const { spec, problems } = readSpecEntries(reader.rootEntries(document.contents));
  // What stands after a syntax error was read by guess: its faults may not be real.
  const firstBadLine = Math.min(...syntax.map((problem) => problem.line ?? 1));
  const sure = [...reader.problems, ...problems].filter((p) => (p.line ?? 0) < firstBadLine);
  throwProblems([...syntax, ...sure.map((p) => ({ ...p, file: fileName }))].sort(byPlace));
  return spec;
}

function byPlace(a: SpecProblem, b: SpecProblem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

type Alias = Extract<Node, { source: string; resolve: unknown }>;
type Resolve = (alias: Alias) => Node | undefined;

/** Turns the nodes of one document into entries with places. */
class DocumentReader {
  readonly problems: SpecProblem[] = [];
  readonly #fileName: string;
  readonly #lines: LineCounter;
  readonly #resolve: Resolve;

  constructor(fileName: string, lines: LineCounter, resolve: Resolve) {
    this.#fileName = fileName;
    this.#lines = lines;
    this.#resolve = resolve;
  }

  rootEntries(contents: unknown): FileEntry[] {
    if (contents === null || (isScalar(contents) && contents.value === null)) return [];
    if (isMap(contents)) return this.#entries(contents, '');
    const message = 'must be a mapping of keys to values, such as `memory: 256Mi`';
    this.problems.push({ code: 'ConfigInvalid', path: '', message, line: 1, column: 1 });
    return [];
  }

  syntaxProblem(error: YAMLError): SpecProblem {
    return {
      code: 'ConfigInvalid',
      path: '',
      message: SYNTAX[error.code] ?? firstLine(error.message),
      file: this.#fileName,
      ...this.#place(error.pos[0]),
    };
  }

  #entries(map: YAMLMap, prefix: string): FileEntry[] {
    const entries: FileEntry[] = [];
    const seen = new Set<string>();
    for (const pair of map.items) {
      const key = isScalar(pair.key) ? String(pair.key.source ?? pair.key.value) : undefined;
      const place = this.#placeOf(pair.key);
      if (key === undefined) {
        const message = 'a key must be plain text';
        this.problems.push({ code: 'ConfigInvalid', path: prefix, message, ...place });
      } else if (seen.has(key)) {
        this.#duplicate(prefix, key, place);
      } else {
        seen.add(key);
        entries.push(this.#entry(key, prefix, pair.value, place));
      }
    }
    return entries;
  }

  #entry(key: string, prefix: string, value: unknown, place: Place): FileEntry {
    const node = isAlias(value) ? this.#resolve(value as Alias) : value;
    if (node === undefined) {
      const message = 'alias of an anchor that is not there';
      this.problems.push({ code: 'ConfigInvalid', path: prefix + key, message, ...place });
      return { key, ...place, kind: 'map', entries: [] };
    }
    // Two levels are all there is: env.A, scale.min. What is deeper is refused by its kind.
    if (isMap(node) && prefix === '') {
      return { key, ...place, kind: 'map', entries: this.#entries(node, `${key}.`) };
    }
    if (isSeq(node)) {
      return { key, ...place, kind: 'list', items: node.items.map((item) => this.#item(item)) };
    }
    if (!isScalar(node)) {
      return { key, ...place, kind: 'scalar', value: {}, source: '' };
    }
    return { key, ...place, kind: 'scalar', value: node.value, source: sourceOf(node) };
  }

  /** An entry of a list; what is no plain value is refused by its kind. */
  #item(value: unknown): ListItem {
    const node = isAlias(value) ? this.#resolve(value as Alias) : value;
    const place = this.#placeOf(value);
    if (!isScalar(node)) return { ...place, value: {}, source: '' };
    return { ...place, value: node.value, source: sourceOf(node) };
  }

  #duplicate(prefix: string, key: string, place: Place): void {
    const isEnv = prefix === 'env.';
    this.problems.push({
      code: isEnv ? 'EnvInvalid' : 'ConfigInvalid',
      path: prefix + key,
      message: isEnv ? `env ${key}: duplicate` : `duplicate key \`${prefix}${key}\``,
      ...place,
    });
  }

  #placeOf(node: unknown): Place {
    const range = (node as Node | null)?.range;
    return range == null ? { line: 1, column: 1 } : this.#place(range[0]);
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function sourceOf(node: Scalar): string {
  const isQuoted = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE';
  return isQuoted ? JSON.stringify(node.value) : (node.source ?? String(node.value));
}

interface Place {
  line: number;
  column: number;
}

/** Syntax errors in our own words; the others speak as the parser does. */
const SYNTAX: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  TAB_AS_INDENT: 'tab used for indentation; use spaces',
  MULTIPLE_DOCS: 'a second document (`---`) is not allowed',
};

function firstLine(text: string): string {
  const line = text.split('\n', 1)[0] ?? text;
  return line.charAt(0).toLowerCase() + line.slice(1);
}
