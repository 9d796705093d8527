/** Runs `work` on every item, `atOnce` at a time; the first error ends it, an abort too. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  { atOnce, signal }: { atOnce: number; signal: AbortSignal },
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const failed = new AbortController();
  const lane = async (): Promise<void> => {
    for (const item of rest) {
      if (failed.signal.aborted) return;
      signal.throwIfAborted();
      await work(item);
    }
  };
  const lanes = Array.from({ length: Math.min(atOnce, items.length) }, async () => {
    try {
      await lane();
    } catch (error) {
      failed.abort();
      throw error;
    }
  });
  const ended = await Promise.allSettled(lanes);
  const bad = ended.find((lane) => lane.status === 'rejected');
  if (bad !== undefined) throw bad.reason;
}
