import { HearthError } from '../lib/errors.ts';
import type { FunctionRecord, TrafficShare } from '../lib/records.ts';

/** Whether requests of the function may go to this revision. */
export function hasTraffic(record: FunctionRecord | undefined, revisionId: string): boolean {
  return (
    record?.traffic.some((share) => share.revisionId === revisionId && share.percent > 0) === true
  );
}

/**
 * The revision that takes this request. `chance` in [0, 1) picks among the shares.
 * @throws HearthError FunctionNotFound, Deploying, FunctionUnhealthy
 */
export function pickRevision(
  name: string,
  record: FunctionRecord | undefined,
  chance: number,
): string {
  if (record === undefined) {
    throw new HearthError('FunctionNotFound', `function "${name}" does not exist`, {
      hint: 'hearth list shows the functions there are',
    });
  }
  const picked = pickShare(record.traffic, chance);
  if (picked !== undefined) return picked;
  if (record.state === 'failed') {
    const last = record.lastError;
    throw new HearthError(
      'FunctionUnhealthy',
      `function "${name}" has no working revision: ${last?.code ?? 'unknown'}: ${last?.message ?? ''}`,
      {
        hint: last?.hint ?? 'deploy it again',
        details: { ...last?.details, retryAfterMs: 10_000 },
      },
    );
  }
  throw new HearthError('Deploying', `function "${name}" is being deployed for the first time`, {
    hint: 'try again after Retry-After',
    details: { retryAfterMs: 1000 },
  });
}

function pickShare(traffic: readonly TrafficShare[], chance: number): string | undefined {
  let left = chance * 100;
  for (const share of traffic) {
    left -= share.percent;
    if (left < 0) return share.revisionId;
  }
  return traffic.at(-1)?.revisionId;
}
