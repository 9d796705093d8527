import { errnoCode, HearthError } from '../../lib/errors.ts';

/** errno names of a disk that takes no more, by space or by quota. */
const FULL: readonly string[] = ['ENOSPC', 'EDQUOT'];
/** Of a process, or a machine, that has all the files open that it may have. */
const EXHAUSTED: readonly string[] = ['EMFILE', 'ENFILE'];

/** What the host lacked for a start, if that is why it failed; any other error as it is. */
export function hostError(error: unknown): unknown {
  if (error instanceof HearthError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return shortage(errnoCode(error) ?? '', { reason, details: {}, cause: error }) ?? error;
}

/** Undefined when the errno says nothing of the kind. */
export function shortage(
  errno: string,
  start: { reason: string; details: Record<string, unknown>; cause?: unknown },
): HearthError | undefined {
  const { reason, ...options } = start;
  if (FULL.includes(errno)) {
    const hint = 'free space on the file system of the data root';
    const message = `no space left while starting: ${reason}`;
    return new HearthError('StorageFull', message, { hint, ...options });
  }
  if (!EXHAUSTED.includes(errno)) return undefined;
  const hint = 'raise the open files limit of the node agent (LimitNOFILE), or of the machine';
  const message = `too many open files while starting: ${reason}`;
  return new HearthError('NoCapacity', message, { hint, ...options });
}
