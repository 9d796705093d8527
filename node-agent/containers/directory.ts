import type { ContainerInfo } from '../../lib/container-api.ts';
import type { Container } from '../engine/engine-types.ts';
import { LABELS } from '../events/event-info.ts';
import type { Instance } from '../instances/instance.ts';
import type { Instances } from '../instances/instances.ts';
import type { Containers } from './containers.ts';
import { notRunning, ownedByFunction } from './faults.ts';
import { findOne } from './find-one.ts';
import { mountInfos } from './mount-infos.ts';
import type { PlainContainer } from './plain-container.ts';

/** A container of this node, whoever asked for it. */
export type Found =
  | { kind: 'plain'; id: string; name: string; plain: PlainContainer }
  | { kind: 'instance'; id: string; name: string; instance: Instance };

/** All containers of this node: those that users run by hand, and the instances of functions. */
export class Directory {
  readonly #containers: Containers;
  readonly #instances: Instances;
  readonly #node: string;

  constructor(parts: { containers: Containers; instances: Instances; node: string }) {
    this.#containers = parts.containers;
    this.#instances = parts.instances;
    this.#node = parts.node;
  }

  /** Newest first. */
  list(): ContainerInfo[] {
    const infos = this.#all().map((found) => this.infoOf(found));
    return infos.sort((a, b) => b.createdAtMs - a.createdAtMs);
  }

  /** By id, name or the start of an id. @throws HearthError NotFound, Conflict */
  find(text: string): Found {
    return findOne(text, this.#all());
  }

  infoOf(found: Found): ContainerInfo {
    if (found.kind === 'plain') return found.plain.info;
    return instanceInfo(found.instance, this.#node);
  }

  /**
   * One that a user runs by hand, for what instances are not asked.
   * @throws HearthError NotFound, Conflict for an instance
   */
  plain(text: string, what: string): PlainContainer {
    const found = this.find(text);
    if (found.kind === 'plain') return found.plain;
    throw ownedByFunction(found.id, found.instance.record.functionName, what);
  }

  /** The engine's side of one that runs. @throws HearthError NotFound, Conflict when it has ended */
  running(text: string, what: string): Container {
    const found = this.find(text);
    const container = found.kind === 'plain' ? found.plain.container : found.instance.container;
    if (container === undefined) throw notRunning(found, what);
    return container;
  }

  #all(): Found[] {
    const plain = this.#containers
      .all()
      .map((one) => ({ kind: 'plain' as const, id: one.id, name: one.name, plain: one }));
    const instances = this.#instances
      .all()
      .map((one) => ({ kind: 'instance' as const, id: one.id, name: one.id, instance: one }));
    return [...plain, ...instances];
  }
}

function instanceInfo({ record, limits, container }: Instance, node: string): ContainerInfo {
  const { id, functionName, revisionId, startedAtMs } = record;
  const { spec, address } = container;
  const { image } = limits;
  const { memoryBytes, cpuMillis, pids } = spec.resources;
  return {
    id,
    name: id,
    node,
    image: image === undefined ? '' : `${image.repository}@${image.digest}`,
    imageDigest: image?.digest ?? '',
    command: [...spec.argv],
    labels: { [LABELS.function]: functionName, [LABELS.revision]: revisionId },
    state: container.paused ? 'paused' : 'running',
    functionName,
    revisionId,
    network: spec.network,
    ...(address === undefined ? {} : { address }),
    ports: container.ports.map((port) => ({ ...port })),
    mounts: mountInfos(spec.mounts),
    ...(spec.ociRuntime === undefined ? {} : { ociRuntime: spec.ociRuntime }),
    memoryBytes,
    cpuMillis,
    pids,
    createdAtMs: startedAtMs,
    startedAtMs,
  };
}
