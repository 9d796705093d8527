import { type Command, Option } from 'commander';
import type { Change } from './change.ts';
import { addNetworkGroup, addVolumeGroup, collect, NODE, type Run } from './named-program.ts';

/**
 * `hearth run`, `ps`, `exec`, `cp`, `stats`, `events`, `stop` … and the groups `container`, `volume`, `network`. What
 * is done with containers is said both ways, as docker has it; only `logs` and `rm` mean functions when they
 * stand alone.
 */
export function addContainerCommands(program: Command, run: Run): void {
  addRun(program, run);
  addList(program, run, { name: 'ps' });
  addStats(program, run);
  addEvents(program, run);
  addReaching(program, run);
  addChanges(program, run, ['stop', 'kill', 'pause', 'unpause']);
  addInspect(program, run);
  addContainerGroup(program, run);
  addVolumeGroup(program, run);
  addNetworkGroup(program, run);
}

function addRun(program: Command, run: Run): void {
  program
    .command('run')
    .description('run a container of an image of the registry')
    .argument('<image>', 'NAME:TAG or NAME@DIGEST in the platform’s registry; or a function’s name')
    .argument('[program...]', 'in place of the image’s own, with its arguments')
    .option('-d, --detach', 'print its id and leave it')
    .addOption(new Option('-i, --interactive').hideHelp())
    .addOption(new Option('-t, --tty').hideHelp())
    .option('--rm', 'remove it when it has ended')
    .option('--name <name>', 'its name')
    .option('-e, --env <k=v>', 'environment variable; K alone takes it from here', collect)
    .option('-l, --label <k=v>', 'label', collect)
    .option('--entrypoint <program>', 'in place of the image’s')
    .option('-w, --workdir <folder>', 'working folder')
    .option('-u, --user <user>', 'user[:group], by name or number')
    .option('--hostname <name>', 'its own name for itself')
    .option('--network <name>', 'bridge, none, or a network’s name')
    .option('--network-alias <name>', 'further name on the network', collect)
    .option('-p, --publish <port>', '[ADDRESS:]HOSTPORT:PORT[/udp]', collect)
    .option('-v, --volume <volume>', 'VOLUME:PATH[:ro] or /HOST:PATH[:ro]', collect)
    .option('--tmpfs <path:size>', 'memory file system', collect)
    .option('--egress <cidr[:port]>', 'private network that it may reach', collect)
    .option('-m, --memory <size>', 'memory limit, such as 256Mi')
    .option('--swap <size>', 'swap beside the memory (none)')
    .option('--cpus <cores>', 'CPU limit, such as 0.5')
    .option('--cpu-weight <n>', 'share of a busy machine, 1 to 10000 (100)')
    .option('--pids-limit <n>', 'processes and threads at most')
    .option('--disk <size>', 'size of its writable layer')
    .option('--inodes <n>', 'files and folders in its writable layer')
    .option('--shm-size <size>', 'size of /dev/shm (64Mi)')
    .option('--runtime <name>', 'another OCI runtime of the node, such as runc')
    .option(...NODE)
    .action((image, words, flags, command) =>
      run(command, async (context) => (await import('./run.ts')).run(context, image, words, flags)),
    );
}

function addList(
  program: Command,
  run: Run,
  { name, aliases = [] }: { name: string; aliases?: string[] },
): void {
  program
    .command(name)
    .aliases(aliases)
    .description('containers that run; instances of functions are containers too')
    .option('-a, --all', 'those that have ended too')
    .action((flags, command) =>
      run(command, async (context) => (await import('./list.ts')).listContainers(context, flags)),
    );
}

function addStats(program: Command, run: Run): void {
  program
    .command('stats')
    .description('what containers use')
    .argument('[names...]', 'containers or functions (all)')
    .option('--no-stream', 'once')
    .option(...NODE)
    .action((names, flags, command) =>
      run(command, async (context) => (await import('./stats.ts')).stats(context, names, flags)),
    );
}

function addEvents(program: Command, run: Run): void {
  program
    .command('events')
    .description('what happened to containers')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('--action <name>', 'only these: create, start, ready, oom, die, destroy …')
    .option('--container <id>', 'only of this container')
    .option('--function <name>', 'only of this function')
    .option(...NODE)
    .action((flags, command) =>
      run(command, async (context) => (await import('./events.ts')).events(context, flags)),
    );
}

function addReaching(program: Command, run: Run): void {
  program
    .command('exec')
    .description('run a program in a container, or in an instance of a function')
    .argument('<name>', 'container or function')
    .argument('[program...]', 'the program with its arguments')
    .option('-i, --interactive', 'with this input')
    .option('-t, --tty', 'with a terminal')
    .option('-e, --env <k=v>', 'environment variable', collect)
    .option('-w, --workdir <folder>', 'working folder')
    .option('-u, --user <user>', 'user[:group], by name or number')
    .option(...NODE)
    .action((name, words, flags, command) =>
      run(command, async (context) =>
        (await import('./exec.ts')).exec(context, name, words, flags),
      ),
    );
  program
    .command('cp')
    .description('copy files out of a container or into it')
    .argument('<source>', 'NAME:PATH or a local path; - is a tar on stdin')
    .argument('<target>', 'a local path or NAME:PATH; - is a tar on stdout')
    .option('-L, --follow-link', 'of a source that is a link, what it leads to')
    .option(...NODE)
    .action((source, target, flags, command) =>
      run(command, async (context) =>
        (await import('./copy.ts')).copy(context, source, target, flags),
      ),
    );
}

const CHANGES: Readonly<Record<Change, string>> = {
  stop: 'end containers: SIGTERM, then SIGKILL after the grace time',
  kill: 'send containers a signal (SIGKILL)',
  pause: 'freeze every process of containers',
  unpause: 'let them go on',
  rm: 'remove containers that have ended',
};

function addContainerGroup(program: Command, run: Run): void {
  const group = program.command('container').description('run, list, stop, remove … containers');
  addRun(group, run);
  addList(group, run, { name: 'ls', aliases: ['ps', 'list'] });
  addStats(group, run);
  addReaching(group, run);
  addChanges(group, run, ['stop', 'kill', 'pause', 'unpause', 'rm']);
  addInspect(group, run);
  addLogs(group, run);
  group
    .command('wait')
    .description('print the exit codes once they have ended')
    .argument('<ids...>', 'ids or names')
    .option(...NODE)
    .action((ids, flags, command) =>
      run(command, async (context) =>
        (await import('./wait.ts')).waitForContainers(context, ids, flags),
      ),
    );
  group
    .command('prune')
    .description('remove all that have ended')
    .option('-f, --force', 'do not ask')
    .option(...NODE)
    .action((flags, command) =>
      run(command, async (context) => (await import('./prune.ts')).pruneContainers(context, flags)),
    );
}

function addChanges(program: Command, run: Run, changes: readonly Change[]): void {
  for (const name of changes) {
    const one = program
      .command(name)
      .description(CHANGES[name])
      .argument('<ids...>', 'ids or names')
      .option(...NODE);
    if (name === 'stop') one.option('-t, --time <time>', 'grace time, such as 10s');
    if (name === 'kill') one.option('-s, --signal <signal>', 'such as SIGHUP');
    if (name === 'rm') one.option('-f, --force', 'one that runs too');
    one.action((ids, flags, command) =>
      run(command, async (context) =>
        (await import('./change.ts')).changeContainers(context, name, ids, flags),
      ),
    );
  }
}

function addInspect(program: Command, run: Run): void {
  program
    .command('inspect')
    .description('all that is known of containers, as JSON')
    .argument('<names...>', 'containers or functions')
    .option(...NODE)
    .action((ids, flags, command) =>
      run(command, async (context) =>
        (await import('./inspect.ts')).inspectContainers(context, ids, flags),
      ),
    );
}

function addLogs(group: Command, run: Run): void {
  group
    .command('logs')
    .description('what a container wrote')
    .argument('<id>', 'id or name')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option('-n, --tail <lines>', 'how many of the last lines')
    .option('-t, --timestamps', 'with the time of each line')
    .option(...NODE)
    .action((id, flags, command) =>
      run(command, async (context) =>
        (await import('../commands/logs.ts')).containerLogs(context, id, flags),
      ),
    );
}
