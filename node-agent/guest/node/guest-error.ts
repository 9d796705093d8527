/** The handler cannot be called: no file, or nothing in it that is a handler. */
export class HandlerInvalid extends Error {
  override readonly name = 'HandlerInvalid';
}

/** What the status line says about an error. */
export interface GuestErrorBody {
  name: string;
  message: string;
  stack?: string;
}

const LINES_MAX = 25;
const CAUSES_MAX = 3;
const GUEST_FOLDER = import.meta.dirname;

/** Name, message and the frames in the user's own files. */
export function describeError(error: unknown): GuestErrorBody {
  if (!(error instanceof Error)) return { name: 'Error', message: `threw ${showThrown(error)}` };
  const stack = trimStack(error);
  const message = error instanceof SyntaxError ? withPlace(error, stack) : error.message;
  const body = { name: error.name, message };
  // A HandlerInvalid is thrown by the guest: its frames say nothing to a user.
  return error instanceof HandlerInvalid || stack === '' ? body : { ...body, stack };
}

/** A syntax error's message with the file and line that stand above its stack. */
function withPlace(error: SyntaxError, stack: string): string {
  const place = /^(?:file:\/\/)?\/(?:.*\/)?([^/\n]+:\d+)\n/.exec(stack);
  return place === null ? error.message : `${error.message} (${place[1]})`;
}

/** The error's stack without Node's and the guest's own frames, its causes below. */
export function trimStack(error: Error, depth = 0): string {
  const lines = (error.stack ?? `${error.name}: ${error.message}`).split('\n');
  const kept = lines.filter((line) => !isForeignFrame(line)).slice(0, LINES_MAX);
  const { cause } = error;
  if (!(cause instanceof Error) || depth >= CAUSES_MAX) return kept.join('\n');
  return `${kept.join('\n')}\ncaused by: ${trimStack(cause, depth + 1)}`;
}

function isForeignFrame(line: string): boolean {
  if (!/^\s+at /.test(line)) return false;
  return line.includes('node:') || line.includes(GUEST_FOLDER);
}

/** Any thrown value as text: an error's trimmed stack, else the value. */
export function errorText(error: unknown): string {
  return error instanceof Error ? trimStack(error) : `threw ${showThrown(error)}`;
}

function showThrown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 500));
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 500);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
