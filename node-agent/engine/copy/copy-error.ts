import { EntryRefused } from '../../../lib/archive/entry-name.ts';
import { TarFormatError } from '../../../lib/archive/tar.ts';
import { type ErrorCode, HearthError } from '../../../lib/errors.ts';
import type { FileFailure } from '../launcher/files/file-frames.ts';
import { StartRefused } from '../launcher-client.ts';

interface Meaning {
  code: ErrorCode;
  says: string;
  hint?: string;
}

/** What the kernel's refusals mean for a copy. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOENT: { code: 'NotFound', says: 'does not exist' },
  ENOTDIR: { code: 'BadRequest', says: 'is not a folder' },
  EISDIR: { code: 'BadRequest', says: 'is a folder' },
  ELOOP: {
    code: 'BadRequest',
    says: 'has too many links, or one of /proc',
    hint: 'name the folder itself',
  },
  ENAMETOOLONG: { code: 'BadRequest', says: 'is too long a path' },
  EEXIST: { code: 'Conflict', says: 'was made by somebody else meanwhile' },
  EROFS: { code: 'Forbidden', says: 'is on a read-only mount' },
  EACCES: { code: 'Forbidden', says: 'may not be opened' },
  EPERM: { code: 'Forbidden', says: 'may not be changed' },
  EBUSY: { code: 'Conflict', says: 'is a mount, or in use' },
  ETXTBSY: { code: 'Conflict', says: 'is being executed' },
  ENOSPC: { code: 'StorageFull', says: 'does not fit: the disk of the container is full' },
  EDQUOT: { code: 'StorageFull', says: 'does not fit: the disk of the container is full' },
};

/** A file service's failure in a user's words. */
export function copyError(id: string, failure: FileFailure): HearthError {
  const { errno, message } = failure;
  const path = Buffer.from(failure.path, 'latin1').toString();
  const details = { errno, path };
  const meaning = MEANINGS[errno];
  const where = `"${path}" of container "${id}"`;
  if (meaning !== undefined) {
    const hint = meaning.hint === undefined ? {} : { hint: meaning.hint };
    return new HearthError(meaning.code, `${where} ${meaning.says}`, { details, ...hint });
  }
  const code = errno === 'ERR' ? 'BadRequest' : 'Internal';
  return new HearthError(code, `cannot copy ${where}: ${message}`, { details });
}

/** The service ended before it said how its work went. */
export function cutOff(id: string): HearthError {
  const message = `the copy with container "${id}" was cut off`;
  const hint = 'the container ended meanwhile, or has no memory left';
  return new HearthError('Conflict', message, { hint });
}

/** Any error on the way of a copy as one for users. */
export function asCopyError(id: string, error: unknown): unknown {
  if (error instanceof StartRefused) {
    if (error.failure.errno === 'ESRCH')
      return new HearthError('Conflict', `container "${id}" has ended`);
    return new HearthError('StartFailed', `cannot copy with container "${id}": ${error.message}`);
  }
  if (error instanceof TarFormatError || error instanceof EntryRefused) {
    return new HearthError('BadRequest', `the archive cannot be read: ${error.message}`);
  }
  return error;
}
