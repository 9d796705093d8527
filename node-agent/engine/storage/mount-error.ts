import { HearthError } from '../../../lib/errors.ts';
import type { StartFailure } from '../launcher/messages.ts';

const STEP = /^(open|map ids of|mount) ((?:volume|bind path|tmpfs).*)$/s;

/** Sentence, code and hint when a mount of the user's failed; undefined for any other step. */
export function mountError(failure: StartFailure): HearthError | undefined {
  const [, act, title = ''] = STEP.exec(failure.step) ?? [];
  if (act === undefined) return undefined;
  const details = { step: failure.step, errno: failure.errno };
  if (act === 'open') return openError(title, failure, details);
  if (act === 'map ids of') return mapError(title, failure, details);
  return attachError(title, failure, details);
}

type Details = Record<string, unknown>;

function openError(title: string, failure: StartFailure, details: Details): HearthError {
  if (failure.errno === 'ENOENT') {
    const hint = 'it must be on this node before the container starts';
    return new HearthError('NotFound', `${title}: there is no such file or folder`, {
      hint,
      details,
    });
  }
  if (['ELOOP', 'ENOTDIR', 'EXDEV'].includes(failure.errno)) {
    const hint = 'name the file or folder itself, by a path without links';
    const message = `${title}: the path holds a link, or a file where a folder should be`;
    return new HearthError('StartFailed', message, { hint, details });
  }
  return new HearthError('StartFailed', `${title}: cannot be opened: ${failure.message}`, {
    details,
  });
}

function mapError(title: string, failure: StartFailure, details: Details): HearthError {
  if (failure.errno !== 'EINVAL') {
    const message = `${title}: ids cannot be mapped: ${failure.message}`;
    return new HearthError('StartFailed', message, { details });
  }
  const hint = 'ext4, xfs, btrfs and tmpfs can; overlays and network file systems mostly cannot';
  const message = `${title}: its file system cannot map user ids`;
  return new HearthError('KernelUnsupported', message, { hint, details });
}

function attachError(title: string, failure: StartFailure, details: Details): HearthError {
  const failed = (message: string, hint?: string): HearthError =>
    new HearthError('StartFailed', `cannot mount ${title}: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      details,
    });
  switch (failure.errno) {
    case 'ENOTDIR':
      return failed(
        'a folder goes only over a folder, a file only over a file',
        'look at what the image has at the target',
      );
    case 'EEXIST':
    case 'ELOOP':
      return failed('the image has a link there that leads to nothing');
    case 'EBUSY':
      return failed('the image has a link there that leads to its root');
    case 'EROFS':
      return failed('the target is missing, and what it would be made in is read-only');
    case 'ENOSPC':
    case 'EDQUOT':
      return new HearthError('StorageFull', `cannot mount ${title}: no space left`, { details });
    default:
      return failed(failure.message);
  }
}
