import type { HearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';
import { suggest } from '../../lib/suggest.ts';
import { readDirectives } from './directives.ts';
import { type Heredoc, readHeredocs } from './heredoc.ts';
import { type FaultOptions, faultAt, type Location, type Source } from './location.ts';
import { isComment, type LogicalLine, locationAt, readLogicalLine } from './logical-line.ts';
import { splitPlain, unquote, wordEnd } from './words.ts';

/** One instruction as text: keyword, flags, the rest, and its here-documents. */
export interface Statement {
  /** Upper case, one of `KEYWORDS`. */
  keyword: Keyword;
  flags: Flag[];
  /** What follows the flags, trimmed. */
  args: string;
  /** Of `args` in the joined line. */
  argsOffset: number;
  heredocs: Heredoc[];
  escapeSign: '\\' | '`';
  line: LogicalLine;
  location: Location;
}

/** `--name=value`; without `=` the value is undefined. */
export interface Flag {
  name: string;
  value: string | undefined;
  offset: number;
}

export const KEYWORDS = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
] as const;

export type Keyword = (typeof KEYWORDS)[number];

const LINE_LENGTH_MAX = 65_535;

/**
 * Cuts a Dockerfile into statements. Knows lines, comments, continuations, flags and
 * here-documents, and which keywords exist; what the arguments mean is for `instruction.ts`.
 * @throws HearthError DockerfileInvalid, UnsupportedInstruction
 */
export function readStatements(
  text: string,
  file: string,
): { statements: Statement[]; warnings: string[] } {
  const source = sourceOf(text, file);
  const { escapeSign, warnings } = readDirectives(source);
  const statements: Statement[] = [];
  let index = 0;
  while (index < source.lines.length) {
    const raw = source.lines[index] ?? '';
    if (raw.trim() === '' || isComment(raw)) {
      index++;
      continue;
    }
    const line = readLogicalLine(source, index, escapeSign);
    index = line.nextIndex;
    if (line.text.trim() === '') continue;
    if (line.emptyContinuations > 0) warnings.push(emptyContinuation(line));
    const { statement, nextIndex } = readStatement(line, escapeSign);
    index = nextIndex;
    statements.push(statement);
    if (statements.length > LIMITS.dockerfileInstructionsMax) {
      throw fault(statement, {
        message: `more than ${LIMITS.dockerfileInstructionsMax} instructions`,
      });
    }
  }
  if (statements.length === 0) {
    throw faultAt(source, { line: 1, column: 1 }, { message: 'no instructions in the file' });
  }
  return { statements, warnings };
}

/** An error at the statement, or at one sign of it. */
export function fault(
  statement: Statement,
  options: FaultOptions & { message: string; offset?: number },
): HearthError {
  const location =
    options.offset === undefined ? statement.location : locationAt(statement.line, options.offset);
  return faultAt(statement.line.source, location, options);
}

function sourceOf(text: string, file: string): Source {
  const source = { file, lines: text.replace(/^\uFEFF/, '').split(/\r?\n/) };
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.dockerfileBytesMax) {
    const message = `${bytes} bytes, limit ${LIMITS.dockerfileBytesMax}`;
    throw faultAt(source, { line: 1, column: 1 }, { message });
  }
  const index = source.lines.findIndex(
    (line) => line.length > LINE_LENGTH_MAX || line.includes('\0'),
  );
  if (index === -1) return source;
  throw faultAt(
    source,
    { line: index + 1, column: 1 },
    {
      message: source.lines[index]?.includes('\0')
        ? 'a zero byte: is this a text file?'
        : `the line is longer than ${LINE_LENGTH_MAX} signs`,
    },
  );
}

function readStatement(
  line: LogicalLine,
  escapeSign: '\\' | '`',
): { statement: Statement; nextIndex: number } {
  const [word] = splitPlain(line.text, 0);
  const location = locationAt(line, word?.offset ?? 0);
  const keyword = keywordOf(line, word?.text ?? '');
  const { flags, end } = readFlags(line.text, (word?.offset ?? 0) + keyword.length, escapeSign);
  const takesHeredocs = keyword === 'RUN' || keyword === 'COPY' || keyword === 'ADD';
  const { heredocs, nextIndex } = takesHeredocs
    ? readHeredocs(line, escapeSign)
    : { heredocs: [], nextIndex: line.nextIndex };
  const args = line.text.slice(end).trim();
  return {
    statement: { keyword, flags, args, argsOffset: end, heredocs, escapeSign, line, location },
    nextIndex,
  };
}

function keywordOf(line: LogicalLine, word: string): Keyword {
  const upper = word.toUpperCase() as Keyword;
  if (KEYWORDS.includes(upper)) return upper;
  const near = suggest(upper, KEYWORDS);
  throw faultAt(line.source, locationAt(line, 0), {
    message: `unknown instruction ${word.slice(0, 40)}${near === undefined ? '' : ` (did you mean ${near}?)`}`,
  });
}

/** Flags stand directly after the keyword; `--` alone ends them. */
function readFlags(
  text: string,
  start: number,
  escapeSign: string,
): { flags: Flag[]; end: number } {
  const flags: Flag[] = [];
  let end = skipSpace(text, start);
  while (text.startsWith('--', end)) {
    const next = wordEnd(text, end, escapeSign);
    const word = unquote(text.slice(end + 2, next), escapeSign);
    const offset = end;
    end = skipSpace(text, next);
    if (word === '') break;
    const cut = word.indexOf('=');
    flags.push({
      name: cut === -1 ? word : word.slice(0, cut),
      value: cut === -1 ? undefined : word.slice(cut + 1),
      offset,
    });
  }
  return { flags, end };
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && /\s/.test(text[at] ?? '')) at++;
  return at;
}

function emptyContinuation(line: LogicalLine): string {
  const { line: number } = locationAt(line, 0);
  return `${line.source.file}:${number}: empty lines inside a continued instruction are dropped`;
}
