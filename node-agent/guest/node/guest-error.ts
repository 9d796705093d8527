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

const FRAMES_MAX = 20;
const GUEST_FOLDER = import.meta.dirname;

/** Name, message and the frames in the user's own files. */
export function describeError(error: unknown): GuestErrorBody {
  if (!(error instanceof Error)) return { name: 'Error', message: `threw ${showThrown(error)}` };
  const stack = trimStack(error);
  const body = { name: error.name, message: error.message };
  // A HandlerInvalid is thrown by the guest: its frames say nothing to a user.
  return error instanceof HandlerInvalid || stack === '' ? body : { ...body, stack };
}

/** The error's stack without Node's and the guest's own frames, its causes below. */
export function trimStack(error: Error): string {
  const lines = (error.stack ?? `${error.name}: ${error.message}`).split('\n');
  const kept = lines.filter((line) => !isForeignFrame(line)).slice(0, FRAMES_MAX);
  const { cause } = error;
  const below = cause instanceof Error && cause !== error ? `\ncaused by: ${cause.stack}` : '';
  return kept.join('\n') + below;
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
