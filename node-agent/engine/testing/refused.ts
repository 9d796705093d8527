import assert from 'node:assert/strict';
import { HearthError } from '../../../lib/errors.ts';

/** The error of a start that must fail. */
export async function refused(promise: Promise<unknown>): Promise<HearthError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof HearthError, String(error));
    return error;
  }
  return assert.fail('it started');
}
