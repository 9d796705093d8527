import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type CallOptions, type GuestAnswer, readyGuest } from './spawn-guest.ts';

/** A function's files, what is asked, and what must come back. */
export interface AnswerRow {
  title: string;
  files: Record<string, string>;
  env?: Record<string, string>;
  path?: string;
  call?: CallOptions;
  /** 200 when absent. */
  status?: number;
  body?: string | RegExp;
  type?: string;
  headers?: Record<string, string | string[]>;
}

/** One test a row: starts the guest, calls it once, compares. */
export function answerTests(command: string[], rows: readonly AnswerRow[]): void {
  for (const row of rows) {
    it(row.title, async (t) => {
      const env = row.env === undefined ? {} : { env: row.env };
      const guest = await readyGuest(t, { command, files: row.files, ...env });
      const answer = await guest.call(row.path ?? '/', row.call);
      assert.equal(answer.status, row.status ?? 200, answer.body + guest.stderr());
      checkAnswer(answer, row);
    });
  }
}

function checkAnswer(answer: GuestAnswer, row: AnswerRow): void {
  if (typeof row.body === 'string') assert.equal(answer.body, row.body);
  if (row.body instanceof RegExp) assert.match(answer.body, row.body);
  if (row.type !== undefined) assert.equal(answer.headers['content-type'], row.type);
  // Only the platform's own errors have it.
  assert.equal(answer.headers['x-hearth-error-type'], undefined);
  for (const [name, value] of Object.entries(row.headers ?? {})) {
    assert.deepEqual(answer.headers[name], value, name);
  }
}
