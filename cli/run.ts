import { CommanderError } from 'commander';
import { dockerHint } from './containers/docker-words.ts';
import { separateCommand } from './containers/separate-command.ts';
import { failureOf, usageError } from './errors.ts';
import { buildProgram } from './program.ts';

const USAGE_EXIT = 2;
const DAEMONS: ReadonlySet<string> = new Set(['gateway', 'scheduler', 'builder', 'agent']);

/** Runs one command line; resolves with the exit code. Errors are told on stderr, never thrown. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    const [first = '', ...rest] = argv;
    if (DAEMONS.has(first)) {
      const { daemon } = await import('./commands/daemon.ts');
      return await daemon(first, rest);
    }
    let code = 0;
    const program = buildProgram((exit) => {
      code = exit;
    });
    await program.parseAsync(separateCommand(argv, program), { from: 'user' });
    return code;
  } catch (error) {
    return report(error, argv);
  }
}

function report(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  // `hearth` alone: the help has been printed.
  if (error instanceof CommanderError && error.code === 'commander.help') return USAGE_EXIT;
  const shown = error instanceof CommanderError ? fromCommander(error, argv) : error;
  const failure = failureOf(shown, { debug: process.env.HEARTH_DEBUG === '1' });
  process.stderr.write(`${failure.lines.join('\n')}\n`);
  return failure.exit;
}

/** commander says `error: unknown option '--memroy'\n(Did you mean --memory?)`. */
function fromCommander(error: CommanderError, argv: readonly string[]): Error {
  const [first = '', ...more] = error.message.split('\n');
  const near = /Did you mean (one of )?(.+)\?/.exec(more.join(' '))?.[2];
  const message = first.replace(/^error: /, '').replaceAll("'", '"');
  const typed = /^unknown command "(.+)"$/.exec(message)?.[1];
  const hint = typed === undefined ? undefined : dockerHint(typed);
  if (hint !== undefined) return usageError(message, hint);
  if (near !== undefined) return usageError(message, `did you mean ${near}?`);
  const names = buildProgram(() => {}).commands.flatMap((one) => [one.name(), ...one.aliases()]);
  const command = argv.find((word) => names.includes(word));
  return usageError(message, `hearth ${command === undefined ? '' : `${command} `}--help`);
}
