import { HearthError } from '../../lib/errors.ts';
import type { Named } from './find-one.ts';

/** What cannot be done to a container that has ended. */
export function notRunning({ id, name }: Named, what: string): HearthError {
  const called = name === id ? '' : ` (${id})`;
  return new HearthError(
    'Conflict',
    `cannot ${what} container "${name}"${called}: it is not running`,
    { hint: 'run a new one: a container that has ended does not start again' },
  );
}

/** An instance lives as its function's scale says. */
export function ownedByFunction(id: string, functionName: string, what: string): HearthError {
  return new HearthError(
    'Conflict',
    `cannot ${what} container "${id}": it is an instance of the function "${functionName}"`,
    {
      hint: `the platform starts and ends instances: change the function's scale, or remove it with hearth remove ${functionName}`,
    },
  );
}

export function nameTaken(name: string): HearthError {
  return new HearthError('Conflict', `the container name "${name}" is in use already`, {
    hint: 'take another: a name is free again when its container is removed',
  });
}
