import { formatBytes } from '../../lib/units.ts';
import type { Spread } from './percentiles.ts';

/** One row of the result: ours beside a control that was measured in turns with it. */
export type Row =
  | {
      name: string;
      what: string;
      ours: Spread;
      /** Median milliseconds of each phase, in their order. */
      phasesP50?: Record<string, number>;
      /** `bar`: the ratio of medians is at most this. */
      control?: { what: string; spread: Spread; bar?: number };
    }
  | { name: string; what: string; bytes: Record<string, number> }
  | { name: string; what: string; missing: string };

const HEAD = ['', 'n', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms', 'ratio p50'];

/** The table that is printed. */
export function reportText(rows: readonly Row[]): string {
  const lines: string[][] = [HEAD];
  for (const row of rows) lines.push(...linesOf(row));
  const widths = HEAD.map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function linesOf(row: Row): string[][] {
  if ('missing' in row) return [[`${row.what}: not measured: ${row.missing}`]];
  if ('bytes' in row) {
    return [
      [row.what],
      ...Object.entries(row.bytes).map(([name, bytes]) => [`  ${name}: ${formatBytes(bytes)}`]),
    ];
  }
  const { ours, control, phasesP50 } = row;
  const ratio = control === undefined ? '' : ratioText(ours.p50 / control.spread.p50, control.bar);
  const lines = [[row.what, ...cells(ours), ratio]];
  for (const [phase, ms] of Object.entries(phasesP50 ?? {})) {
    lines.push([`  of which ${phase}`, '', ms.toFixed(2)]);
  }
  if (control !== undefined)
    lines.push([`  control: ${control.what}`, ...cells(control.spread), '']);
  return lines;
}

/** The ratio beside the bar it is measured by: `2.10 ≤ 4`, or `4.20 > 4` when it is missed. */
function ratioText(ratio: number, bar: number | undefined): string {
  if (bar === undefined) return ratio.toFixed(2);
  return `${ratio.toFixed(ratio < 1 ? 3 : 2)} ${ratio <= bar ? '≤' : '>'} ${bar}`;
}

function cells(spread: Spread): string[] {
  const numbers = [spread.p50, spread.p90, spread.p99, spread.max];
  return [String(spread.count), ...numbers.map((ms) => ms.toFixed(2))];
}
