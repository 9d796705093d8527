import { Command, Option } from 'commander';
import { contextOf, type GlobalFlags } from './options.ts';

type SetExit = (code: number) => void;

/**
 * The command line. Each command's module is imported only when it runs: a start of the CLI costs
 * what the command needs and nothing more.
 */
export function buildProgram(setExit: SetExit): Command {
  const program = new Command('hearth')
    .description('HTTP functions on containers: from a folder to an answer')
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addOption(new Option('--server <url>', 'the gateway (HEARTH_URL)'))
    .addOption(new Option('--token <token>', 'its token (HEARTH_TOKEN)'))
    .addOption(new Option('--data-root <dir>', 'state of this machine (HEARTH_DATA_ROOT)'))
    .option('--json', 'print JSON for programs')
    .option('--no-color', 'plain text (NO_COLOR)')
    .option('-q, --quiet', 'only results and errors')
    .showSuggestionAfterError(true);
  addPlatformCommands(program, setExit);
  addDaemonCommands(program);
  return program;
}

function addPlatformCommands(program: Command, setExit: SetExit): void {
  const upOptions = (command: Command): Command =>
    command
      .option('--port <port>', 'port of the gateway; 0 takes a free one (8080)')
      .option('--host <address>', 'interface of the gateway (127.0.0.1)')
      .option('--redis-url <url>', 'a Redis that runs already (REDIS_URL)', process.env.REDIS_URL)
      .option('--subnet <cidr>', 'addresses of all containers (10.62.0.0/16)')
      .option('--verbose', 'show the logs of all components');
  upOptions(program.command('up').description('run the whole platform on this machine')).action(
    async (flags, command) => {
      const { up } = await import('./commands/up.ts');
      setExit(await up(contextOf(command.optsWithGlobals() as GlobalFlags), flags));
    },
  );
}

/** Only for `hearth --help`: cli/run.ts hands these over before anything is parsed. */
function addDaemonCommands(program: Command): void {
  const rows = [
    ['gateway', 'start one gateway alone'],
    ['scheduler', 'start one scheduler alone'],
    ['builder', 'start one builder alone'],
    ['agent', 'start the node agent of this machine alone'],
  ] as const;
  for (const [name, description] of rows) program.command(name).description(description);
}
