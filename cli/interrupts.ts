import { HearthError } from '../lib/errors.ts';

/** The same Ctrl-C can arrive twice: from the terminal and passed on by npm. */
const SAME_MS = 400;

/**
 * Calls `first` on the first SIGINT, SIGTERM or SIGHUP and `again` on each later one. Returns the
 * function that stops listening.
 */
export function onInterrupt(first: () => void, again: () => void): () => void {
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let firstAtMs: number | undefined;
  const listener = (): void => {
    const nowMs = performance.now();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      first();
    } else if (nowMs - firstAtMs > SAME_MS) {
      again();
    }
  };
  for (const name of names) process.on(name, listener);
  return () => {
    for (const name of names) process.off(name, listener);
  };
}

/** What a command does until Ctrl-C. */
export interface Interruption {
  /** Aborted by the first Ctrl-C, with HearthError Interrupted; a second one ends the process. */
  signal: AbortSignal;
  /** The command has ended by itself. */
  forget(): void;
}

/** A signal for what a command waits for. */
export function abortOnInterrupt(): Interruption {
  const interrupted = new AbortController();
  const forget = onInterrupt(
    () => interrupted.abort(new HearthError('Interrupted', 'interrupted')),
    () => process.exit(130),
  );
  return { signal: interrupted.signal, forget };
}
