import { setTimeout as sleep } from 'node:timers/promises';
import { type DeployEvent, isLastEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import type { ApiClient } from '../http.ts';

const RETRIES_MAX = 8;
const RETRY_MS = 500;

export interface FollowOptions {
  buildId: string;
  signal: AbortSignal;
  onEvent(event: DeployEvent): void;
}

/**
 * Follows a build to its last event, which is returned. The stream begins with the first event each
 * time, so after a broken connection what was seen is skipped.
 * @throws HearthError PlatformUnavailable when the gateway stays away
 */
export async function followBuild(api: ApiClient, options: FollowOptions): Promise<DeployEvent> {
  let seen = 0;
  let failures = 0;
  for (;;) {
    const read = await readOn(api, options, seen);
    if (read.last !== undefined) return read.last;
    failures = read.seen > seen ? 1 : failures + 1;
    seen = read.seen;
    if (failures > RETRIES_MAX) throw read.error ?? endedEarly(options.buildId);
    await sleep(RETRY_MS, undefined, { signal: options.signal });
  }
}

interface Read {
  seen: number;
  last?: DeployEvent;
  error?: unknown;
}

/** One connection: until the last event, or until it breaks in a way that may be tried again. */
async function readOn(api: ApiClient, options: FollowOptions, skip: number): Promise<Read> {
  let count = 0;
  try {
    for await (const event of events(api, options)) {
      count++;
      if (count <= skip) continue;
      options.onEvent(event);
      if (isLastEvent(event)) return { seen: count, last: event };
    }
    return { seen: Math.max(count, skip) };
  } catch (error) {
    if (options.signal.aborted || !mayRetry(error)) throw error;
    return { seen: Math.max(count, skip), error };
  }
}

function events(api: ApiClient, { buildId, signal }: FollowOptions): AsyncGenerator<DeployEvent> {
  return api.lines<DeployEvent>(`/v1/builds/${buildId}/events`, { signal });
}

function mayRetry(error: unknown): boolean {
  return error instanceof HearthError && error.retryable;
}

function endedEarly(buildId: string): HearthError {
  return new HearthError('PlatformUnavailable', `the events of build ${buildId} ended early`, {
    hint: 'hearth describe NAME shows how the deploy went on',
  });
}
