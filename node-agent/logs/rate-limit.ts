/** A token bucket that, once dry, stays shut for a while. */
export interface RateState {
  tokens: number;
  atMs: number;
  /** The bucket ran dry, and nothing passes until it holds a second's worth. */
  shut: boolean;
}

export interface RateLimits {
  bytesPerSecond: number;
  burstBytes: number;
}

export interface RateVerdict {
  state: RateState;
  accepted: boolean;
}

/** A full bucket. */
export function freshRate(limits: RateLimits, nowMs: number): RateState {
  return { tokens: limits.burstBytes, atMs: nowMs, shut: false };
}

/**
 * Whether `bytes` may pass at `nowMs`. A bucket that ran dry stays shut until it holds a second's
 * worth, so that a flood gives one notice a second, not one a line.
 */
export function admit(
  state: RateState,
  bytes: number,
  limits: RateLimits,
  nowMs: number,
): RateVerdict {
  const earned = (Math.max(0, nowMs - state.atMs) * limits.bytesPerSecond) / 1000;
  const tokens = Math.min(limits.burstBytes, state.tokens + earned);
  // What is more than a full bucket passes when the bucket is full.
  const asked = Math.min(bytes, limits.burstBytes);
  const needed = state.shut ? Math.max(asked, limits.bytesPerSecond) : asked;
  const accepted = tokens >= needed;
  const left = accepted ? tokens - asked : tokens;
  return { accepted, state: { tokens: left, atMs: nowMs, shut: !accepted } };
}
