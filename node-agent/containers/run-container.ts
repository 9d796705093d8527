import type { ContainerInfo } from '../../lib/container-api.ts';
import type { ParsedRun } from '../api/parse-run-request.ts';
import { parseSignal } from '../api/signals.ts';
import type { ContainerSpec } from '../engine/container-spec.ts';
import type { Container, Engine } from '../engine/engine-types.ts';
import type { LocalImage } from '../images/image-store-types.ts';
import { makeVolumes } from '../instances/make-volumes.ts';
import type { Logs } from '../logs/logs.ts';
import { accountOf } from './account.ts';
import type { ContainerFile, ContainerFiles } from './container-files.ts';
import { type ImageParts, imageOf } from './image-of.ts';
import { mountInfos } from './mount-infos.ts';
import { PlainContainer } from './plain-container.ts';
import { runSpecOf } from './run-spec.ts';

/** What a run needs of the agent. */
export interface RunParts extends ImageParts {
  node: string;
  engine: Engine;
  logs: Logs;
  files: ContainerFiles;
  /** Text of the containers' /etc/resolv.conf. */
  resolvConf: string;
  /** Where containers have their writable layer. */
  writable: 'memory' | 'disk';
}

/** Who the new container is. */
export interface RunIdentity {
  id: string;
  name: string;
}

/**
 * Image → record on the disk → container. On any failure nothing of it is left.
 * @throws HearthError as `POST /v1/containers` documents
 */
export async function runContainer(
  parts: RunParts,
  run: ParsedRun,
  { id, name }: RunIdentity,
): Promise<PlainContainer> {
  const image = await imageOf(parts, run);
  const config = image.config.config ?? {};
  const question = { asked: run.user, image: config.User ?? '' };
  const account = await accountOf(image.layers, question);
  const { layers } = image;
  const { resolvConf, writable, node } = parts;
  const site = { id, name, config: image.config, layers, account, resolvConf, writable };
  const spec = runSpecOf(run, site);
  const file: ContainerFile = {
    info: infoOf(run, spec, { id, name, node, image }),
    autoRemove: run.autoRemove,
    stopSignal: stopSignalOf(config.StopSignal),
  };
  try {
    parts.files.create(file);
    makeVolumes(parts.engine.volumes, { mounts: run.mounts });
    const container = await parts.engine.start(spec);
    return await register(parts, file, container);
  } catch (error) {
    await forget(parts, id);
    throw error;
  }
}

/** What cannot be removed now, the agent's next process removes: that was never started. */
async function forget({ files, logs }: RunParts, id: string): Promise<void> {
  await Promise.allSettled([files.remove(id), logs.removeContainer(id)]);
}

async function register(
  parts: RunParts,
  file: ContainerFile,
  container: Container,
): Promise<PlainContainer> {
  const log = parts.logs.forContainer(container.id);
  container.onOutput((stream, chunk) => log.output(stream, chunk));
  const started = { ...file, info: { ...file.info, ...startedFacts(container, Date.now()) } };
  try {
    await parts.files.put(started);
  } catch (error) {
    await container.kill();
    await container.remove();
    throw error;
  }
  return new PlainContainer(started, { container, log });
}

/** What only its start tells of a container. */
export function startedFacts(container: Container, startedAtMs: number): Partial<ContainerInfo> {
  const { address, ports } = container;
  return {
    startedAtMs,
    state: 'running',
    ports: ports.map((port) => ({ ...port })),
    ...(address === undefined ? {} : { address }),
  };
}

function infoOf(
  run: ParsedRun,
  spec: ContainerSpec,
  site: RunIdentity & { node: string; image: LocalImage },
): ContainerInfo {
  const { memoryBytes, cpuMillis, pids } = spec.resources;
  return {
    id: site.id,
    name: site.name,
    node: site.node,
    image: run.imageText,
    imageDigest: site.image.ref.digest,
    command: [...spec.argv],
    labels: run.labels,
    state: 'exited',
    network: spec.network,
    ports: [],
    mounts: mountInfos(run.mounts),
    ...(spec.ociRuntime === undefined ? {} : { ociRuntime: spec.ociRuntime }),
    memoryBytes,
    cpuMillis,
    pids,
    createdAtMs: Date.now(),
    startedAtMs: 0,
  };
}

/** An image's STOPSIGNAL; one that is no signal counts as none. */
function stopSignalOf(text: string | undefined): NodeJS.Signals {
  return (text === undefined ? undefined : parseSignal(text)) ?? 'SIGTERM';
}
