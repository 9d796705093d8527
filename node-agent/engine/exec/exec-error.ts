import { HearthError } from '../../../lib/errors.ts';
import type { StartFailure } from '../launcher/messages.ts';
import { startError } from '../start-error.ts';

/** Sentence, code and hint for a program that could not be executed in a container. */
export function execError(
  failure: StartFailure,
  container: { id: string; argv: readonly string[]; cwd: string | undefined },
): HearthError {
  const { errno, step } = failure;
  const { argv, cwd, id } = container;
  const details = { step, errno };
  // A process that has ended has no namespaces any more (setns(2))
  if (errno === 'ESRCH') {
    return new HearthError('Conflict', `container "${id}" has ended`, { details });
  }
  if (errno === 'EAGAIN' && step === 'fork') {
    const message = `no process can be added to container "${id}": its pids are used up`;
    return new HearthError('NoCapacity', message, { details });
  }
  if (errno === 'ETIMEDOUT') {
    const message = `cannot execute in container "${id}": ${failure.message}`;
    const hint = 'it may have been paused meanwhile, or have no cpu time left';
    return new HearthError('StartFailed', message, { hint, details });
  }
  if (step === 'isolate') {
    const message = `cannot execute in container "${id}": ${failure.message}`;
    const hint = 'the container may have ended, or have no memory left';
    return new HearthError('StartFailed', message, { hint, details });
  }
  const error = startError(failure, argv, { cwd });
  const hint = hintOf(error, failure);
  return new HearthError(error.code, error.message, {
    ...(hint === undefined ? {} : { hint }),
    details,
  });
}

/** A start's hints speak of the image's instructions. */
function hintOf(error: HearthError, failure: StartFailure): string | undefined {
  if (failure.step === 'enter working folder') return undefined;
  if (error.code === 'EntrypointNotFound' && failure.errno === 'ENOENT' && failure.found !== true) {
    return 'check the command against the files that the container has';
  }
  return error.hint;
}
