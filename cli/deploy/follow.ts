import { setTimeout as sleep } from 'node:timers/promises';
import { type DeployEvent, isLastEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import type { DeployEventLine } from '../../lib/management-api.ts';
import type { ApiClient } from '../http.ts';

const RETRIES_MAX = 8;
const RETRY_MS = 500;

export interface FollowOptions {
  buildId: string;
  signal: AbortSignal;
  onEvent(event: DeployEvent): void;
}

/**
 * Follows a build to its last event, which is returned; a broken connection is taken up again after
 * the last event that was read.
 * @throws HearthError PlatformUnavailable when the gateway stays away
 */
export async function followBuild(api: ApiClient, options: FollowOptions): Promise<DeployEvent> {
  let after = '0';
  let failures = 0;
  for (;;) {
    const read = await readOn(api, options, after);
    if (read.last !== undefined) return read.last;
    failures = read.after === after ? failures + 1 : 1;
    after = read.after;
    if (failures > RETRIES_MAX) throw read.error ?? endedEarly(options.buildId);
    await sleep(RETRY_MS, undefined, { signal: options.signal });
  }
}

interface Read {
  /** Id of the last event that was read. */
  after: string;
  last?: DeployEvent;
  error?: unknown;
}

/** One connection: until the last event, or until it breaks in a way that may be tried again. */
async function readOn(api: ApiClient, options: FollowOptions, from: string): Promise<Read> {
  const { buildId, signal, onEvent } = options;
  let after = from;
  try {
    const path = `/v1/builds/${buildId}/events`;
    for await (const event of api.lines<DeployEventLine>(path, { query: { after }, signal })) {
      after = event.id;
      onEvent(event);
      if (isLastEvent(event)) return { after, last: event };
    }
    return { after };
  } catch (error) {
    if (signal.aborted || !mayRetry(error)) throw error;
    return { after, error };
  }
}

function mayRetry(error: unknown): boolean {
  return error instanceof HearthError && error.retryable;
}

function endedEarly(buildId: string): HearthError {
  return new HearthError('PlatformUnavailable', `the events of build ${buildId} ended early`, {
    hint: 'hearth describe NAME shows how the deploy went on',
  });
}
