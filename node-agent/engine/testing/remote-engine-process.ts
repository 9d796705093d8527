/**
 * An engine in a process of its own, for tests that kill it. Takes its options as its argument, then
 * commands by line from stdin: `{n, name, args}`, and answers `{n, value}` or `{n, error}`. The first
 * line it says is `{n: 0}`: the engine is there.
 */
import { createInterface } from 'node:readline';
import { createLog } from '../../../lib/telemetry/log.ts';
import type { ContainerSpec } from '../container-spec.ts';
import { createEngine } from '../engine.ts';
import type { Container } from '../engine-types.ts';
import type { NetworkRequest } from '../network/network-types.ts';

const options = JSON.parse(process.argv[2] ?? '{}');
const log = createLog({ component: 'engine', level: 'warn' });
const engine = await createEngine({ ...options, log });
const output = new Map<string, string>();

function facts(container: Container) {
  const { id, pid, address, ports } = container;
  output.set(id, '');
  container.onOutput((_, chunk) => output.set(id, output.get(id) + chunk.toString()));
  return { id, pid, address, ports };
}

function get(id: string): Container {
  const container = engine.get(id);
  if (container === undefined) throw new Error(`no container ${id}`);
  return container;
}

const COMMANDS: Record<string, (...args: never[]) => unknown> = {
  /** What was adopted, and how long after this process began. */
  adopt: async () => {
    const adopted = (await engine.adopt()).map(facts);
    return { adopted, afterMs: performance.now() };
  },
  start: async (spec: ContainerSpec) => facts(await engine.start(spec)),
  output: async (id: string) => output.get(id) ?? '',
  missed: async (id: string) => get(id).missedOutputBytes ?? 0,
  exec: async (id: string, argv: readonly string[]) => {
    const process = await get(id).exec({ argv });
    for (const stream of [process.stdout, process.stderr]) stream.resume();
    return await process.exited;
  },
  createVolume: async (name: string) => engine.volumes.create({ name }),
  removeVolume: async (name: string) => await engine.volumes.remove(name),
  volumes: async () => engine.volumes.list().map(({ name }) => name),
  kill: async (id: string) => await get(id).kill(),
  exited: async (id: string) => await get(id).exited,
  remove: async (id: string) => await get(id).remove(),
  createNetwork: async (request: NetworkRequest) => await engine.networks.create(request),
  networks: async () => engine.networks.list(),
  removeNetwork: async (name: string) => await engine.networks.remove(name),
  close: async (keepContainers: boolean) => {
    await engine.close({ keepContainers });
    setImmediate(() => process.exit(0));
  },
};

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

say({ n: 0 });
for await (const line of createInterface({ input: process.stdin })) {
  const { n, name, args } = JSON.parse(line);
  void (async () => COMMANDS[name]?.(...(args as never[])))().then(
    (value) => say({ n, value }),
    (error) => say({ n, error: { code: error.code, message: error.message } }),
  );
}
process.exit(0);
