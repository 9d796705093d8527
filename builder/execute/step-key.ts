import { sha256 } from '../../lib/digest.ts';
import type { RunAction } from '../dockerfile/plan-types.ts';

/** Changes when a change of the builder makes the same step give other layers. */
const VERSION = 1;

/**
 * Name of what a RUN makes, for the cache: all that it can see. Build arguments are part of its
 * environment; only their hash is kept.
 */
export function runKey(chain: string, action: RunAction): string {
  const { argv, env, cwd, user, network } = action;
  return key(chain, ['run', argv, env.toSorted(), cwd, user, network]);
}

/** Name of what a COPY makes: the entries by content, so that it does not matter how they are named. */
export function copyKey(chain: string, itemsHash: string): string {
  return key(chain, ['copy', itemsHash]);
}

function key(chain: string, parts: unknown[]): string {
  return sha256(JSON.stringify([VERSION, chain, ...parts]));
}
