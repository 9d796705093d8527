import { errnoCode, HearthError } from '../../lib/errors.ts';

/** What is answered to a start while the agent stops. */
export function shuttingDown(): HearthError {
  return new HearthError('ShuttingDown', 'node agent is stopping and starts nothing');
}

/** `error`, unless the disk is full: then what to do about that. */
export function storageFault(error: unknown): unknown {
  if (errnoCode(error) !== 'ENOSPC') return error;
  return new HearthError('StorageFull', 'the disk of the node agent is full', {
    hint: 'free space on the file system of the data root',
    cause: error,
  });
}
