import type { Command } from 'commander';
import type { Context } from '../options.ts';

/** Runs a command's action with the context and remembers its exit code. */
export type Run = (
  command: Command,
  action: (context: Context) => Promise<number>,
) => Promise<void>;

/** The option that says which of several nodes is meant. */
export const NODE = ['--node <name>', 'the node that is meant, when several are'] as const;

/** For options that may be given several times. */
export function collect(word: string, before: string[] | undefined): string[] {
  return [...(before ?? []), word];
}

/** `hearth volume ls|create|inspect|rm`. */
export function addVolumeGroup(program: Command, run: Run): void {
  const group = program.command('volume').description('folders that outlive containers');
  group
    .command('ls')
    .alias('list')
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
  addInspect(group, run, 'volumes');
  addRemove(group, run, 'volumes');
}

/** `hearth network ls|create|inspect|rm`. */
export function addNetworkGroup(program: Command, run: Run): void {
  const group = program
    .command('network')
    .description('networks whose containers reach each other by name');
  group
    .command('ls')
    .alias('list')
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
  addInspect(group, run, 'networks');
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

function addInspect(group: Command, run: Run, kind: 'volumes' | 'networks'): void {
  group
    .command('inspect')
    .description(`all that is known of ${kind}, as JSON`)
    .argument('<names...>', 'their names')
    .option(...NODE)
    .action((names, { node }, command) =>
      run(command, async (context) =>
        (await import('./inspect.ts')).inspectNamed(context, kind, { names, node }),
      ),
    );
}
