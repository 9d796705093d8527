import { sha256 } from '../../lib/digest.ts';
import type { RunAction } from '../dockerfile/plan-types.ts';

/** Changes when a change of the builder makes the same step give other layers. */
const VERSION = 1;

/** What a step stands on. */
export interface Below {
  /** Identity of the root file system. */
  chain: string;
  /** SOURCE_DATE_EPOCH, which changes the times in the layer. */
  epochMs: number | undefined;
}

/**
 * Name of what a RUN makes, for the cache: all that it can see. Build arguments are part of its
 * environment; only their hash is kept.
 */
export function runKey(below: Below, action: RunAction): string {
  const { argv, env, cwd, user, network } = action;
  return key(below, ['run', argv, env.toSorted(), cwd, user, network]);
}

/** Name of what a COPY makes: the entries by content, so that it does not matter how they are named. */
export function copyKey(below: Below, itemsHash: string): string {
  return key(below, ['copy', itemsHash]);
}

function key({ chain, epochMs }: Below, parts: unknown[]): string {
  return sha256(JSON.stringify([VERSION, chain, epochMs ?? null, ...parts]));
}
