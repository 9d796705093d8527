import { type ErrorCode, HearthError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

/** One fault of a spec. `path` is the key as its writer knows it, e.g. `scale.min` or `env.A`. */
export interface SpecProblem {
  code: ErrorCode;
  path: string;
  message: string;
  hint?: string;
  /** Where it stands, for a file; lines and columns count from 1. */
  file?: string;
  line?: number;
  column?: number;
}

/**
 * All problems as one error, one a line. Its code is theirs if they share it, else ConfigInvalid;
 * `details.problems` has each with its place. Nothing is thrown for an empty list.
 * @throws HearthError
 */
export function throwProblems(problems: readonly SpecProblem[]): void {
  const first = problems[0];
  if (first === undefined) return;
  const shown = problems.slice(0, LIMITS.specProblemsMax);
  const lines = shown.map((problem) => located(problem));
  if (problems.length > shown.length) lines.push(`and ${problems.length - shown.length} more`);
  const code = problems.every((p) => p.code === first.code) ? first.code : 'ConfigInvalid';
  const hint = shown.find((problem) => problem.hint !== undefined)?.hint;
  throw new HearthError(code, lines.join('\n'), {
    ...(hint === undefined ? {} : { hint }),
    details: { problems: shown },
  });
}

function located(problem: SpecProblem): string {
  if (problem.file === undefined) return problem.message;
  const place = problem.line === undefined ? problem.file : `${problem.file}:${problem.line}`;
  return `${place}: ${problem.message}`;
}

/** A found value for a message: short, on one line, `a list` or `a mapping` for collections. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** 6120 → `"6 120"`. */
export function groupDigits(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
}
