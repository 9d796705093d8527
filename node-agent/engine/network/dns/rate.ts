/** How many an asker may have at once, and how many more each second. */
export interface Rate {
  burst: number;
  perSecond: number;
}

/** A bucket of tokens for each asker (there are no more of them than a network has addresses). */
export class SourceRate {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Whether this asker may have one more now. */
  admits(source: string, nowMs: number): boolean {
    const { burst, perSecond } = this.#rate;
    const bucket = this.#buckets.get(source) ?? { tokens: burst, atMs: nowMs };
    const grown = bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond;
    const tokens = Math.min(burst, grown);
    const isAdmitted = tokens >= 1;
    this.#buckets.set(source, { tokens: isAdmitted ? tokens - 1 : tokens, atMs: nowMs });
    return isAdmitted;
  }

  /** An address that nobody has any more. */
  forget(source: string): void {
    this.#buckets.delete(source);
  }
}
