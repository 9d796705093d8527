import type { Command, InstructionOf } from './instruction.ts';
import type { RunAction } from './plan-types.ts';
import { DEFAULT_PATH, type StageState, workingDir } from './stage-state.ts';

/** A RUN with its argument list and environment. */
export function planRun(run: InstructionOf<'run'>, state: StageState): RunAction {
  return {
    do: 'run',
    argv: argvOf(run.command, state),
    env: runEnv(state),
    cwd: workingDir(state),
    user: state.config.User ?? '',
    network: run.network,
  };
}

/** The shell form goes to the stage's shell. */
export function argvOf(command: Command, state: StageState): string[] {
  return command.form === 'exec' ? command.argv : [...state.shell, command.text];
}

/** Arguments are environment of RUN only; ENV of the same name wins. */
function runEnv(state: StageState): string[] {
  const env = new Map([['PATH', DEFAULT_PATH]]);
  for (const [name, value] of state.args) if (value !== undefined) env.set(name, value);
  for (const [name, value] of state.env) env.set(name, value);
  return [...env].map(([name, value]) => `${name}=${value}`);
}
