import { createInterface } from 'node:readline/promises';
import { HearthError } from '../../lib/errors.ts';
import { parseFunctionName } from '../../lib/names.ts';
import { connect } from '../connection.ts';
import { usageError } from '../errors.ts';
import type { Context } from '../options.ts';

export interface RemoveFlags {
  ignoreMissing?: boolean;
  yes?: boolean;
}

/** `hearth remove NAME…`. Asks on a terminal; resolves with the exit code. */
export async function remove(
  context: Context,
  names: readonly string[],
  flags: RemoveFlags,
): Promise<number> {
  for (const name of names) parseFunctionName(name);
  if (flags.yes !== true && !(await confirm(names))) {
    throw usageError('nothing was removed', 'answer y, or pass --yes');
  }
  const api = connect(context);
  for (const name of names) {
    const removed = await removeOne(name, flags.ignoreMissing === true, (path) =>
      api.json(path, { method: 'DELETE' }),
    );
    const text = removed ? `${name} removed` : `${name} was not there`;
    context.terminal.out(context.json ? `${JSON.stringify({ name, removed })}\n` : `${text}\n`);
  }
  return 0;
}

async function removeOne(
  name: string,
  ignoreMissing: boolean,
  send: (path: string) => Promise<unknown>,
): Promise<boolean> {
  try {
    await send(`/v1/functions/${name}`);
    return true;
  } catch (error) {
    const missing = error instanceof HearthError && error.code === 'FunctionNotFound';
    if (missing && ignoreMissing) return false;
    throw error;
  }
}

/** A script cannot answer: without a terminal the name alone is enough. */
async function confirm(names: readonly string[]): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return true;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`remove ${names.join(', ')}? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    // Ctrl-C or Ctrl-D at the question.
    return false;
  } finally {
    prompt.close();
  }
}
