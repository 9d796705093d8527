import { fitColumns } from './text-width.ts';

const LINES_BEFORE = 1;
const COLUMNS = 100;

/** The line of a file that is meant, with the one before it, and a caret under the column. */
export function excerpt(text: string, line: number, column?: number): string[] {
  const lines = text.split(/\r?\n/);
  if (line < 1 || line > lines.length) return [];
  const width = String(line).length;
  const shown: string[] = [];
  for (let n = Math.max(1, line - LINES_BEFORE); n <= line; n++) {
    const content = fitColumns((lines[n - 1] ?? '').replaceAll('\t', ' '), COLUMNS);
    shown.push(`${String(n).padStart(width)} | ${content}`);
  }
  if (column !== undefined && column >= 1 && column < COLUMNS) {
    shown.push(`${' '.repeat(width)} | ${' '.repeat(column - 1)}^`);
  }
  return shown;
}
