/** One word of a Redis command. */
export type Word = string | number;

/**
 * A connection to Redis as the store uses it. Every rejection is HearthError StoreUnavailable,
 * with the reason; nothing is queued while Redis is away and nothing is sent twice.
 */
export interface Connection {
  call(command: string, ...words: Word[]): Promise<unknown>;
  /** MULTI … EXEC: all commands at one moment; their replies in order. */
  atomic(commands: readonly (readonly [string, ...Word[]])[]): Promise<unknown[]>;
  /** Closes at once; what is under way is rejected. */
  close(): void;
}

/** Opens a connection that is used for one blocking command at a time, `blockMs` at most each. */
export type OpenBlocking = (options: { blockMs: number }) => Connection;
