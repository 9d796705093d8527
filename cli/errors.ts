import { HearthError, toHearthError } from '../lib/errors.ts';
import { cleanText } from './clean-text.ts';

/** What a failed command prints and exits with. */
export interface Failure {
  lines: string[];
  exit: number;
}

/** `error: …` and `hint: …`, without a stack unless `debug`; peers' text cannot steer the terminal. */
export function failureOf(thrown: unknown, options: { debug?: boolean } = {}): Failure {
  const error = toHearthError(thrown);
  const lines = [`error: ${cleanText(error.message)}`];
  for (const line of shownLines(error)) lines.push(`  ${cleanText(line)}`);
  if (error.hint !== undefined) lines.push(`hint: ${cleanText(error.hint)}`);
  if (options.debug === true) lines.push(stackOf(error));
  return { lines, exit: error.exit };
}

/** The lines of a file that are meant, and the last lines of a log, when the error brings them. */
function shownLines({ details, message }: HearthError): string[] {
  return [details?.excerpt, details?.logTail]
    .flatMap((lines) => (Array.isArray(lines) ? lines.map(String) : []))
    .filter((line) => !repeats(line, message));
}

/** Whether a line of a log is an uncaught error whose text the message has already. */
function repeats(line: string, message: string): boolean {
  const text = /^(?:\w*Error|HandlerInvalid)(?: \[\w+\])?: (.+)$/.exec(line)?.[1];
  return text !== undefined && message.includes(text);
}

function stackOf(error: HearthError): string {
  const own = error.stack ?? '';
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack ?? ''}` : '';
  return own + cause;
}

/** A mistake in how a command was called. */
export function usageError(message: string, hint?: string): HearthError {
  return new HearthError('UsageInvalid', message, hint === undefined ? {} : { hint });
}
