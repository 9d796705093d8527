import { faultAt } from './location.ts';
import { type LogicalLine, locationAt } from './logical-line.ts';
import { hasOpenQuote, splitQuoted, unquote } from './words.ts';

/** A here-document of RUN, COPY or ADD. */
export interface Heredoc {
  name: string;
  /** The body with its line ends; leading tabs are gone after `<<-`. */
  content: string;
  /** False when any part of the name was quoted. */
  expands: boolean;
  /** The word that announced it, as written. */
  word: string;
}

const ANNOUNCED = /^(\d*)<<(-?)\s*([^<]+)$/;

/**
 * The here-documents that a line announces, read from the lines after it.
 * @throws HearthError DockerfileInvalid when one is never closed
 */
export function readHeredocs(
  line: LogicalLine,
  escapeSign: string,
): { heredocs: Heredoc[]; nextIndex: number } {
  const heredocs: Heredoc[] = [];
  let nextIndex = line.nextIndex;
  // Docker finds none in a line that its shell lexer cannot read.
  if (hasOpenQuote(line.text, escapeSign)) return { heredocs, nextIndex };
  for (const word of splitQuoted(line.text, 0, escapeSign)) {
    const match = ANNOUNCED.exec(word.text);
    if (match?.[3] === undefined) continue;
    const name = unquote(match[3], escapeSign);
    const body = readBody(line, { from: nextIndex, name, chomps: match[2] === '-' });
    if (body === undefined) {
      throw faultAt(line.source, locationAt(line, word.offset), {
        message: `here-document ${name} is not closed`,
        hint: `end it with a line that holds only ${name}`,
      });
    }
    nextIndex = body.nextIndex;
    heredocs.push({ name, content: body.content, expands: name === match[3], word: word.text });
  }
  return { heredocs, nextIndex };
}

function readBody(
  line: LogicalLine,
  { from, name, chomps }: { from: number; name: string; chomps: boolean },
): { content: string; nextIndex: number } | undefined {
  const kept: string[] = [];
  for (let index = from; index < line.source.lines.length; index++) {
    const raw = line.source.lines[index] ?? '';
    const text = chomps ? raw.replace(/^\t+/, '') : raw;
    if (text === name) return { content: kept.join(''), nextIndex: index + 1 };
    kept.push(`${text}\n`);
  }
  return undefined;
}
