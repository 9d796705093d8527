import { errnoCode, HearthError, toHearthError } from '../../lib/errors.ts';
import { LIMITS } from '../../lib/limits.ts';

/** What a failed build tells its user. */
export function buildFailure(error: unknown): HearthError {
  const errno = errnoCode(error);
  const isFull =
    errno === 'ENOSPC' ||
    errno === 'EDQUOT' ||
    (error instanceof HearthError && error.code === 'StorageFull');
  if (isFull) {
    return new HearthError('BuildDiskFull', 'the builder has no space left', {
      hint: 'free space in the data root; hearth doctor shows how much there is',
      cause: error,
    });
  }
  return toHearthError(error);
}

/** The reason with which a build's time limit aborts it. */
export function tookTooLong(): HearthError {
  const minutes = LIMITS.buildMsMax / 60_000;
  return new HearthError('BuildStepFailed', `build took longer than ${minutes} minutes`, {
    hint: 'make the build do less, for instance by a base image that has the tools already',
  });
}

/** Whether a build that failed so should run again in another builder: nothing was wrong with it. */
export function isForAnotherBuilder(error: unknown): boolean {
  return (
    error instanceof HearthError && ['StoreUnavailable', 'QueueUnavailable'].includes(error.code)
  );
}
