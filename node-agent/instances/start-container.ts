import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HearthError, toHearthError } from '../../lib/errors.ts';
import type { StartPhases } from '../../lib/records.ts';
import type { StartInstanceRequest } from '../api/types.ts';
import type { Container, Engine } from '../engine/engine-types.ts';
import type { ImageStore, LocalImage } from '../images/image-store-types.ts';
import type { ContainerLog } from '../logs/container-log.ts';
import { containerSpecOf } from './container-spec-of.ts';
import { makeVolumes } from './make-volumes.ts';
import { awaitReady } from './readiness.ts';
import { startError } from './start-error.ts';
import type { Users } from './users.ts';

/** What a start needs of the agent. */
export interface StartParts {
  engine: Engine;
  images: ImageStore;
  users: Users;
  /** Folder of the listening sockets. */
  socketsDir: string;
  /** Text of the containers' /etc/resolv.conf. */
  resolvConf: string;
}

export interface StartedContainer {
  container: Container;
  phases: StartPhases;
}

/** Path of the socket on which a `socket` instance listens. */
export function socketPathOf(socketsDir: string, id: string): string {
  return join(socketsDir, `${id}.sock`);
}

/**
 * Image → container → ready. On any failure the container is gone and the error carries the
 * instance's last log lines.
 * @throws HearthError as `POST /v1/instances` documents
 */
export async function startContainer(
  parts: StartParts,
  request: StartInstanceRequest,
  instance: { id: string; log: ContainerLog; onContainer(container: Container): void },
): Promise<StartedContainer> {
  const beganMs = performance.now();
  const { image, pulled, pullMs } = await parts.images.ensure(request.image);
  const container = await spawn(parts, request, instance, image);
  const spawnedMs = performance.now();
  try {
    container.onOutput((stream, chunk) => instance.log.output(stream, chunk));
    instance.onContainer(container);
    const { importMs } = await ready(container, request, instance.log);
    const nowMs = performance.now();
    const phases: StartPhases = {
      queueMs: container.timings.queueMs,
      ...(pulled ? { pullMs } : {}),
      spawnMs: container.timings.spawnMs,
      readyMs: nowMs - spawnedMs,
      ...(importMs === undefined ? {} : { importMs }),
      totalMs: nowMs - beganMs,
    };
    return { container, phases };
  } catch (error) {
    await discard(container, parts, error);
    throw error;
  }
}

async function spawn(
  parts: StartParts,
  request: StartInstanceRequest,
  instance: { id: string },
  image: LocalImage,
): Promise<Container> {
  const spec = containerSpecOf(request, image.config, {
    id: instance.id,
    layers: image.layers,
    socketPath: socketPathOf(parts.socketsDir, instance.id),
    resolvConf: parts.resolvConf,
    user: await parts.users.of(image),
  });
  makeVolumes(parts.engine.volumes, spec);
  return await parts.engine.start(spec);
}

async function ready(
  container: Container,
  request: StartInstanceRequest,
  log: ContainerLog,
): Promise<{ importMs?: number }> {
  const outcome = await awaitReady(container, {
    contract: request.contract,
    port: request.port,
    timeoutMs: request.startTimeoutMs,
    memoryBytes: request.memoryBytes,
  });
  if (outcome.kind === 'ready') return outcome;
  if (outcome.kind !== 'exited') await container.kill();
  if (outcome.kind === 'guest-error' && outcome.error.stack !== undefined) {
    for (const line of outcome.error.stack.split('\n')) log.system(line);
  }
  log.end();
  throw startError(outcome, request, log.tail);
}

/** Removes a container that did not become an instance. What fails here is added to `first`. */
export async function discard(
  container: Container,
  parts: Pick<StartParts, 'socketsDir'>,
  first: unknown,
): Promise<void> {
  try {
    await container.kill();
    await container.remove();
    await rm(socketPathOf(parts.socketsDir, container.id), { force: true });
  } catch (error) {
    const cleanup = toHearthError(error);
    if (first instanceof HearthError && first.details !== undefined) {
      first.details.cleanupError = cleanup.message;
    }
  }
}
