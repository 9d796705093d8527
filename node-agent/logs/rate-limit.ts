/** A token bucket with a memory of what it refused. */
export interface RateState {
  tokens: number;
  atMs: number;
  /** Bytes refused since the bucket ran dry; 0 while it lets bytes through. */
  droppedBytes: number;
}

export interface RateLimits {
  bytesPerSecond: number;
  burstBytes: number;
}

export interface RateVerdict {
  state: RateState;
  accepted: boolean;
  /** Set when output goes through again: what was lost before. */
  resumedAfterBytes?: number;
}

/** A full bucket. */
export function freshRate(limits: RateLimits, nowMs: number): RateState {
  return { tokens: limits.burstBytes, atMs: nowMs, droppedBytes: 0 };
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
  const needed = state.droppedBytes > 0 ? Math.max(bytes, limits.bytesPerSecond) : bytes;
  if (tokens < needed) {
    const droppedBytes = state.droppedBytes + bytes;
    return { accepted: false, state: { tokens, atMs: nowMs, droppedBytes } };
  }
  return {
    accepted: true,
    state: { tokens: tokens - bytes, atMs: nowMs, droppedBytes: 0 },
    ...(state.droppedBytes > 0 ? { resumedAfterBytes: state.droppedBytes } : {}),
  };
}
