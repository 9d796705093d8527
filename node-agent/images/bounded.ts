/**
 * Runs `work` over `items`, `atOnceMax` at a time, results in order. After the first failure no
 * more are started; it is thrown when those that run have ended.
 */
export async function mapBounded<T, R>(
  items: readonly T[],
  options: { atOnceMax: number },
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && failures.length === 0) {
      const index = next++;
      try {
        results[index] = await work(items[index] as T, index);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.atOnceMax, items.length) }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}
