import assert from 'node:assert/strict';
import { it } from 'node:test';
import { spawnGuest } from './spawn-guest.ts';

/** A function that must not start: title, files, name and message of the error, environment. */
export type FailureRow = [
  title: string,
  files: Record<string, string>,
  name: RegExp,
  message: RegExp,
  env?: Record<string, string>,
];

/** One test a row: the status line says why, stderr as well, and the exit code is 1. */
export function failureTests(
  command: string[],
  rows: readonly FailureRow[],
  foreignFrames: RegExp,
): void {
  for (const [title, files, name, message, env] of rows) {
    it(title, async (t) => {
      const guest = spawnGuest(t, { command, files, ...(env === undefined ? {} : { env }) });
      const status = await guest.status;
      assert.equal(status.ready, false);
      assert.match(status.error?.name ?? '', name);
      assert.match(status.error?.message ?? '', message);
      assert.doesNotMatch(status.error?.stack ?? '', foreignFrames);
      assert.deepEqual(await guest.exited, { code: 1, signal: null });
      assert.notEqual(guest.stderr(), '');
    });
  }
}
