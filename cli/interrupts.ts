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
