import type { FunctionSummary } from '../../lib/management-api.ts';
import { connect } from '../connection.ts';
import type { Context } from '../options.ts';
import { table } from '../table.ts';
import { ageOf, trafficText } from '../view.ts';

/** `hearth list`: one line a function. */
export async function list(context: Context): Promise<number> {
  const { functions } = await connect(context).json<{ functions: FunctionSummary[] }>(
    '/v1/functions',
  );
  if (context.json) {
    context.terminal.out(`${JSON.stringify(functions)}\n`);
    return 0;
  }
  if (functions.length === 0) {
    context.terminal.err('no functions yet; hearth deploy DIR makes one\n');
    return 0;
  }
  context.terminal.out(functionTable(functions, Date.now(), context.terminal.outColumns));
  return 0;
}

/** Name, state, instances, revision, age and URL; without the revision where that is too wide. */
export function functionTable(
  functions: readonly FunctionSummary[],
  nowMs: number,
  columns: number,
): string {
  const heading = ['NAME', 'STATE', 'INSTANCES', 'REVISION', 'UPDATED', 'URL'];
  const rows = functions.map((row) => [
    row.name,
    row.state,
    String(row.instances),
    trafficText(row.traffic),
    ageOf(row.updatedAtMs, nowMs),
    row.url,
  ]);
  const whole = table(heading, rows);
  const widest = Math.max(...whole.split('\n').map((line) => line.length));
  if (widest <= columns) return whole;
  const withoutRevision = (row: string[]): string[] =>
    row.toSpliced(heading.indexOf('REVISION'), 1);
  return table(withoutRevision(heading), rows.map(withoutRevision));
}
