import type { Location, Source } from './location.ts';

/** Lines joined by continuations, with the way back from each sign to its place in the file. */
export interface LogicalLine {
  source: Source;
  text: string;
  /** Ascending; sign `offset` of the text stands at `line`, `column`. */
  origins: readonly Origin[];
  /** Lines skipped inside that were empty: Docker warns about them. */
  emptyContinuations: number;
  /** Index of the first source line after it. */
  nextIndex: number;
}

interface Origin {
  offset: number;
  line: number;
  column: number;
}

/** Where the sign at `offset` of the joined text stands in the file. */
export function locationAt(line: LogicalLine, offset: number): Location {
  const origin = line.origins.findLast((candidate) => candidate.offset <= offset);
  if (origin === undefined) return { line: 1, column: 1 };
  return { line: origin.line, column: origin.column + offset - origin.offset };
}

/**
 * The logical line that begins at source line `index` (BuildKit's parser, `Parse`): comments and
 * empty lines inside a continuation are dropped, and `\\` at the end of a line is no continuation.
 */
export function readLogicalLine(source: Source, index: number, escapeSign: string): LogicalLine {
  const joined = { text: '', origins: [] as Origin[], emptyContinuations: 0 };
  let next = index;
  let open = true;
  while (open && next < source.lines.length) {
    const raw = source.lines[next] ?? '';
    next++;
    if (next > index + 1 && isComment(raw)) continue;
    if (next > index + 1 && raw.trim() === '') {
      joined.emptyContinuations++;
      continue;
    }
    const indent = next === index + 1 ? raw.length - raw.trimStart().length : 0;
    const piece = continued(raw, escapeSign);
    open = piece !== undefined;
    joined.origins.push({ offset: joined.text.length, line: next, column: indent + 1 });
    joined.text += (piece ?? raw).slice(indent);
  }
  return { source, ...joined, nextIndex: next };
}

/** A line whose first sign is `#`; elsewhere `#` is data. */
export function isComment(line: string): boolean {
  return line.trimStart().startsWith('#');
}

/** The line without its continuation sign; undefined if it ends here. */
function continued(line: string, escapeSign: string): string | undefined {
  const end = line.replace(/[ \t]+$/, '');
  if (!end.endsWith(escapeSign) || end.at(-2) === escapeSign) return undefined;
  return end.slice(0, -1);
}
