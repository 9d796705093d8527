import { Command, Option } from 'commander';
import { addContainerCommands } from './containers/program.ts';
import { type Context, contextOf, type GlobalFlags } from './options.ts';

type SetExit = (code: number) => void;

/** Runs a command's action with the context and remembers its exit code. */
type Run = (command: Command, action: (context: Context) => Promise<number>) => Promise<void>;

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
  const run: Run = async (command, action) => {
    setExit(await action(contextOf(command.optsWithGlobals() as GlobalFlags)));
  };
  addPlatformCommands(program, run);
  addDeploy(program, run);
  addInvoke(program, run);
  addFunctionCommands(program, run);
  addContainerCommands(program, run);
  addMachineCommands(program, run);
  addDaemonCommands(program);
  return program;
}

function addPlatformCommands(program: Command, run: Run): void {
  const options = (command: Command): Command =>
    command
      .option('--port <port>', 'port of the gateway; 0 takes a free one (8080)')
      .option('--host <address>', 'interface of the gateway (127.0.0.1)')
      .option('--redis-url <url>', 'a Redis that runs already (REDIS_URL)', process.env.REDIS_URL)
      .option('--subnet <cidr>', 'addresses of all containers (a free 10.x.0.0/16)')
      .option('--uid-base <uid>', 'first host uid of all containers')
      .option('--verbose', 'show the logs of all components');
  options(program.command('up').description('run the whole platform on this machine')).action(
    (flags, command) =>
      run(command, async (context) => (await import('./commands/up.ts')).up(context, flags)),
  );
  options(program.command('quickstart', { hidden: true }))
    .option('--once', 'stop everything after the first answers')
    .action((flags, command) =>
      run(command, async (context) =>
        (await import('./commands/quickstart.ts')).quickstart(context, flags),
      ),
    );
}

function addDeploy(program: Command, run: Run): void {
  program
    .command('deploy')
    .description('from a folder to a URL')
    .argument('<dir>', 'folder with a Dockerfile, or a Node or Python program')
    .option('--name <name>', 'name of the function (of the folder)')
    .option('--env <k=v>', 'environment variable; K alone takes it from here', collect)
    .option('--label <k=v>', 'label', collect)
    .option('--memory <size>', 'memory limit, such as 256Mi')
    .option('--cpu <cores>', 'CPU limit, such as 0.5 or 500m')
    .option('--timeout <time>', 'from the request to its answer, such as 30s')
    .option('--concurrency <n>', 'requests at once per instance')
    .option('--min <n>', 'instances that always run')
    .option('--max <n>', 'instances at most')
    .option('--idle <time>', 'how long an instance stays without a request')
    .option('--port <port>', 'where the program listens; it finds it in $PORT')
    .option('--file <path>', 'Dockerfile inside the folder')
    .option('--build-arg <k=v>', 'build argument', collect)
    .option('--runtime <name>', 'dockerfile, node or python; or an OCI runtime, such as runc')
    .option('--disk <size>', 'what it may write beside its volumes')
    .option('--swap <size>', 'swap beside the memory')
    .option('--shm <size>', 'size of /dev/shm')
    .option('--handler <file>', 'module with the handler, for node and python')
    .option('--print-dockerfile', 'show the Dockerfile that would be built, and stop')
    .option('--force', 'build again, in place of a deploy that is on its way')
    .option('--strict', 'warnings about the folder are errors')
    .option('--no-wait', 'do not follow the deploy to its end')
    .action((folder, flags, command) =>
      run(command, async (context) =>
        (await import('./commands/deploy.ts')).deploy(context, folder, flags),
      ),
    );
}

function addInvoke(program: Command, run: Run): void {
  program
    .command('invoke')
    .description('call a function once')
    .argument('<name>', 'name of the function')
    .option('-d, --data <text>', 'body; @FILE reads a file, - reads stdin')
    .option('-X, --method <method>', 'HTTP method (GET, with a body POST)')
    .option('-H, --header <header>', '"Name: value"', collect)
    .option('--path <path>', 'path and query after the name, such as /users?limit=1')
    .option('-i, --include', 'show status and headers')
    .action((name, flags, command) =>
      run(command, async (context) =>
        (await import('./commands/invoke.ts')).invoke(context, name, flags),
      ),
    );
}

function addFunctionCommands(program: Command, run: Run): void {
  program
    .command('list')
    .alias('ls')
    .description('all functions')
    .action((_flags, command) =>
      run(command, async (context) => (await import('./commands/list.ts')).list(context)),
    );
  program
    .command('describe')
    .description('one function: spec, revisions, instances, the last error')
    .argument('<name>', 'name of the function')
    .action((name, _flags, command) =>
      run(command, async (context) =>
        (await import('./commands/describe.ts')).describe(context, name),
      ),
    );
  program
    .command('logs')
    .description('what the instances of a function wrote')
    .argument('<name>', 'name of the function')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('-n, --tail <lines>', 'how many of the last lines')
    .option('-t, --timestamps', 'with the time of each line')
    .action((name, flags, command) =>
      run(command, async (context) =>
        (await import('./commands/logs.ts')).logs(context, name, flags),
      ),
    );
  program
    .command('remove')
    .alias('rm')
    .description('remove functions')
    .argument('<names...>', 'names of the functions')
    .option('--ignore-missing', 'one that is not there is no error')
    .option('-y, --yes', 'do not ask')
    .action((names, flags, command) =>
      run(command, async (context) =>
        (await import('./commands/remove.ts')).remove(context, names, flags),
      ),
    );
}

function addMachineCommands(program: Command, run: Run): void {
  program
    .command('doctor')
    .description('whether this machine and its platform can do their work')
    .action((_flags, command) =>
      run(command, async (context) => (await import('./commands/doctor.ts')).doctor(context)),
    );
  program
    .command('version')
    .description('versions of the CLI, the server, Node and the kernel')
    .action((_flags, command) =>
      run(command, async (context) => (await import('./commands/version.ts')).version(context)),
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

function collect(word: string, before: string[] | undefined): string[] {
  return [...(before ?? []), word];
}
