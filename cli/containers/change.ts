import { type HearthError, toHearthError } from '../../lib/errors.ts';
import { parseDurationMs } from '../../lib/units.ts';
import { connect } from '../connection.ts';
import { failureOf, usageError } from '../errors.ts';
import type { ApiClient } from '../http.ts';
import type { Context } from '../options.ts';
import { containerPath } from './find-container.ts';

export interface ChangeFlags {
  node?: string;
  /** Of stop: between SIGTERM and SIGKILL. */
  time?: string;
  /** Of kill. */
  signal?: string;
  /** Of rm: also one that runs. */
  force?: boolean;
}

export type Change = 'stop' | 'kill' | 'pause' | 'unpause' | 'rm';

/** `hearth container stop|kill|pause|unpause|rm ID…`: each in turn; one that fails does not keep the others. */
export async function changeContainers(
  context: Context,
  change: Change,
  ids: readonly string[],
  flags: ChangeFlags,
): Promise<number> {
  const query = queryOf(change, flags);
  const api = connect(context);
  let failed: HearthError | undefined;
  for (const id of ids) {
    try {
      await changeOne(api, change, { id, query });
      context.terminal.out(context.json ? `${JSON.stringify({ id, change })}\n` : `${id}\n`);
    } catch (error) {
      failed = toHearthError(error);
      if (ids.length > 1) context.terminal.err(`${failureOf(error).lines.join('\n')}\n`);
    }
  }
  if (failed === undefined) return 0;
  if (ids.length === 1) throw failed;
  return failed.exit;
}

type Query = Record<string, string | number | boolean | undefined>;

async function changeOne(
  api: ApiClient,
  change: Change,
  { id, query }: { id: string; query: Query },
): Promise<void> {
  if (change === 'rm') await api.json(containerPath(id), { method: 'DELETE', query });
  else await api.json(containerPath(id, change), { method: 'POST', query });
}

function queryOf(change: Change, flags: ChangeFlags): Query {
  const { node } = flags;
  if (change === 'rm') return { node, ...(flags.force === true ? { force: 1 } : {}) };
  if (change === 'kill') return { node, signal: flags.signal };
  if (change !== 'stop' || flags.time === undefined) return { node };
  // docker stop -t takes bare seconds
  const text = /^\d+$/.test(flags.time) ? `${flags.time}s` : flags.time;
  const graceMs = parseDurationMs(text);
  if (graceMs !== undefined) return { node, graceMs };
  throw usageError(`--time must be a time such as 10s: current value is "${flags.time}"`);
}
