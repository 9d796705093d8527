import type { Action } from './plan-types.ts';
import type { StageState } from './stage-state.ts';
import type { Statement } from './statement.ts';

const SHOWN_MAX = 160;

/** The instruction as written, on one line, cut to a readable length. */
export function describe(statement: Statement): string {
  const line = statement.line.text.trim();
  return oneLine(`${statement.keyword}${line.slice(statement.keyword.length)}`);
}

/**
 * `created_by` of the image's history, in BuildKit's words. The values of build arguments are left
 * out on purpose: Docker writes them here, and tokens leak that way.
 */
export function historyOf(action: Action, text: string, state: StageState | undefined): string {
  if (action.do !== 'run') return `${text} # hearth`;
  const shell = state?.shell ?? [];
  const isShell = shell.every((word, index) => action.argv[index] === word);
  return isShell ? `RUN ${oneLine(action.argv.join(' '))} # hearth` : `${text} # hearth`;
}

function oneLine(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length > SHOWN_MAX ? `${line.slice(0, SHOWN_MAX - 1)}…` : line;
}
