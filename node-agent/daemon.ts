import { mkdirSync } from 'node:fs';
import type { Config } from '../lib/config.ts';
import { parseRuntimes, splitList } from '../lib/config-lists.ts';
import type { Daemon } from '../lib/daemon.ts';
import { HearthError } from '../lib/errors.ts';
import { createRegistryClient } from '../lib/oci/registry-client.ts';
import { readSecret } from '../lib/secrets.ts';
import { createRedisStore } from '../lib/store/redis.ts';
import type { Log } from '../lib/telemetry/log.ts';
import { type AgentParts, runAgent } from './agent.ts';
import { createEngine } from './engine/engine.ts';
import { resolvConf } from './engine/network/resolvers.ts';
import { EventLog } from './events/event-log.ts';
import { createImageStore } from './images/image-store.ts';
import { claim } from './state/claim.ts';
import { agentFolders, engineName, makeAgentFolders } from './state/folders.ts';

/** What takes apart what was put together, in reverse order. */
class Undo {
  readonly #steps: ((hasFailed: boolean) => unknown)[] = [];

  /** `hasFailed`: it is undone before it was whole. */
  add(step: (hasFailed: boolean) => unknown): void {
    this.#steps.unshift(step);
  }

  /** Does all steps, whatever fails. */
  async run(log: Log, hasFailed: boolean): Promise<void> {
    for (const step of this.#steps) {
      try {
        await step(hasFailed);
      } catch (error) {
        log.warn({ err: error }, 'not taken apart cleanly');
      }
    }
  }
}

/**
 * Starts a node agent on this machine: its state folder, store, registry, engine, then the agent
 * itself. `overrides` replace parts, whose closing is then the caller's.
 * @throws HearthError ConfigInvalid, Conflict, KernelUnsupported; then nothing runs that did not before
 */
export async function startNodeAgent(
  config: Config,
  log: Log,
  overrides: Partial<AgentParts> = {},
): Promise<Daemon> {
  const undo = new Undo();
  try {
    const parts = await openParts(config, log, overrides, undo);
    const daemon = await runAgent(config, log, parts);
    return {
      addresses: daemon.addresses,
      stop: async () => {
        await daemon.stop();
        await undo.run(log, false);
      },
    };
  } catch (error) {
    await undo.run(log, true);
    throw error;
  }
}

async function openParts(
  config: Config,
  log: Log,
  overrides: Partial<AgentParts>,
  undo: Undo,
): Promise<AgentParts> {
  const { dataRoot, name, redisUrl, storePrefix, registryUrl } = config;
  mkdirSync(dataRoot, { recursive: true, mode: 0o711 });
  const folders = agentFolders(dataRoot, name);
  makeAgentFolders(dataRoot, folders);
  undo.add(claim(folders.claim));
  const opened: Partial<AgentParts> = { resolvConf: resolvConf(), ...overrides };
  if (opened.store === undefined) {
    const store = createRedisStore({
      url: required('redisUrl', redisUrl),
      prefix: storePrefix,
      log,
    });
    undo.add(() => store.close());
    opened.store = store;
  }
  if (opened.images === undefined) {
    const registry = createRegistryClient({
      baseUrl: required('registryUrl', registryUrl),
      token: readSecret(dataRoot, 'cluster-token'),
    });
    undo.add(() => registry.close());
    opened.images = createImageStore({ dir: folders.images, registry, log });
    opened.registry ??= registry;
  }
  if (opened.engine === undefined) {
    const events = new EventLog(name);
    const engine = await createEngine({
      name: engineName(dataRoot, name),
      stateDir: folders.engine,
      subnet: config.subnet,
      uidBase: config.uidBase,
      allowedNetworks: splitList(config.allowedNetworks),
      ...(config.containerUsers === ''
        ? {}
        : { reachableByUids: splitList(config.containerUsers).map(Number) }),
      bindPaths: splitList(config.bindPaths),
      ownPaths: [dataRoot],
      runtimes: parseRuntimes(config.runtimes),
      log,
      onEvent: events.add,
    });
    // Whoever could not begin has no right to end what an earlier process left running
    undo.add((hasFailed) => engine.close({ keepContainers: hasFailed }));
    opened.engine = engine;
    opened.events = events;
  }
  return opened as AgentParts;
}

function required(key: string, value: string): string {
  if (value !== '') return value;
  throw new HearthError('ConfigInvalid', `${key} is not set`, {
    hint: 'hearth up sets it; a daemon alone takes it from its flags, environment or file',
  });
}
