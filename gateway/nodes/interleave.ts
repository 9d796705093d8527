/**
 * Values of all sources as lines of JSON, as they come; the next of each is asked for only when its last
 * has been taken.
 */
export async function* interleave<T>(
  sources: AsyncGenerator<T>[],
  signal: AbortSignal,
): AsyncGenerator<string> {
  const pull = (source: AsyncGenerator<T>) => source.next().then((result) => ({ source, result }));
  const pending = new Map(sources.map((source) => [source, pull(source)]));
  try {
    while (pending.size > 0 && !signal.aborted) {
      const { source, result } = await Promise.race(pending.values());
      if (result.done === true) pending.delete(source);
      else {
        pending.set(source, pull(source));
        yield `${JSON.stringify(result.value)}\n`;
      }
    }
  } finally {
    for (const source of pending.keys()) void source.return(undefined);
  }
}
