import type { Command } from 'commander';
import type { Context } from '../options.ts';
import type { Change } from './change.ts';

type Run = (command: Command, action: (context: Context) => Promise<number>) => Promise<void>;

/** `hearth run`, `ps`, `exec`, `cp`, `stats`, `events` and the groups `container`, `volume`, `network`. */
export function addContainerCommands(program: Command, run: Run): void {
  addRun(program, run);
  addLooking(program, run);
  addReaching(program, run);
  addContainerGroup(program, run);
  addVolumeGroup(program, run);
  addNetworkGroup(program, run);
}

const NODE = ['--node <name>', 'the node that is meant, when several are'] as const;

function addRun(program: Command, run: Run): void {
  program
    .command('run')
    .description('run a container of an image of the registry')
    .argument('<image>', 'NAME:TAG or NAME@DIGEST in the platform’s registry')
    .argument('[program...]', 'in place of the image’s own, with its arguments')
    .option('-d, --detach', 'print its id and leave it')
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

function addLooking(program: Command, run: Run): void {
  program
    .command('ps')
    .description('containers that run; instances of functions are containers too')
    .option('-a, --all', 'those that have ended too')
    .action((flags, command) =>
      run(command, async (context) => (await import('./list.ts')).listContainers(context, flags)),
    );
  program
    .command('stats')
    .description('what containers use')
    .argument('[names...]', 'containers or functions (all)')
    .option('--no-stream', 'once')
    .option(...NODE)
    .action((names, flags, command) =>
      run(command, async (context) => (await import('./stats.ts')).stats(context, names, flags)),
    );
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
    .option(...NODE)
    .action((source, target, flags, command) =>
      run(command, async (context) =>
        (await import('./copy.ts')).copy(context, source, target, flags),
      ),
    );
}

const CHANGES: Readonly<Record<Change, string>> = {
  stop: 'SIGTERM, then SIGKILL after the grace time',
  kill: 'send a signal (SIGKILL)',
  pause: 'freeze every process',
  unpause: 'let them go on',
  rm: 'remove containers that have ended',
};

function addContainerGroup(program: Command, run: Run): void {
  const group = program.command('container').description('stop, pause, remove … containers');
  for (const [name, description] of Object.entries(CHANGES)) {
    const one = group
      .command(name)
      .description(description)
      .argument('<ids...>', 'ids or names')
      .option(...NODE);
    if (name === 'stop') one.option('-t, --time <time>', 'grace time, such as 10s');
    if (name === 'kill') one.option('-s, --signal <signal>', 'such as SIGHUP');
    if (name === 'rm') one.option('-f, --force', 'one that runs too');
    one.action((ids, flags, command) =>
      run(command, async (context) =>
        (await import('./change.ts')).changeContainers(context, name as Change, ids, flags),
      ),
    );
  }
  group
    .command('inspect')
    .description('all that is known, as JSON')
    .argument('<ids...>', 'ids or names')
    .option(...NODE)
    .action((ids, flags, command) =>
      run(command, async (context) =>
        (await import('./inspect.ts')).inspectContainers(context, ids, flags),
      ),
    );
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

function addVolumeGroup(program: Command, run: Run): void {
  const group = program.command('volume').description('folders that outlive containers');
  group
    .command('ls')
    .description('all volumes')
    .action((_flags, command) =>
      run(command, async (context) => (await import('./volumes.ts')).listVolumes(context)),
    );
  group
    .command('create')
    .description('make a volume')
    .argument('[name]', 'its name (made up)')
    .option('-l, --label <k=v>', 'label', collect)
    .option(...NODE)
    .action((name, flags, command) =>
      run(command, async (context) =>
        (await import('./volumes.ts')).createVolume(context, name, flags),
      ),
    );
  addRemove(group, run, 'volumes');
}

function addNetworkGroup(program: Command, run: Run): void {
  const group = program
    .command('network')
    .description('networks whose containers reach each other by name');
  group
    .command('ls')
    .description('all networks')
    .action((_flags, command) =>
      run(command, async (context) => (await import('./networks.ts')).listNetworks(context)),
    );
  group
    .command('create')
    .description('make a network')
    .argument('<name>', 'its name')
    .option('--subnet <cidr>', 'its addresses (a free part of the node’s)')
    .option('--internal', 'without a way out')
    .option('-l, --label <k=v>', 'label', collect)
    .option(...NODE)
    .action((name, flags, command) =>
      run(command, async (context) =>
        (await import('./networks.ts')).createNetwork(context, name, flags),
      ),
    );
  addRemove(group, run, 'networks');
}

function addRemove(group: Command, run: Run, kind: 'volumes' | 'networks'): void {
  group
    .command('rm')
    .description(`remove ${kind} that no container uses`)
    .argument('<names...>', 'their names')
    .option(...NODE)
    .action((names, { node }, command) =>
      run(command, async (context) =>
        (await import('./remove-named.ts')).removeNamed(context, kind, { names, node }),
      ),
    );
}

function collect(word: string, before: string[] | undefined): string[] {
  return [...(before ?? []), word];
}
