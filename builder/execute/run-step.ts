import { mkdir, statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import type { NewDeployEvent } from '../../lib/deploy-events.ts';
import { HearthError } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import { GIB, LIMITS, MIB } from '../../lib/limits.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { ContainerSpec } from '../../node-agent/engine/container-spec.ts';
import type { Container, Engine } from '../../node-agent/engine/engine-types.ts';
import { DEFAULT_CAPABILITIES } from '../../node-agent/engine/seccomp/capabilities.ts';
import { type ContainerUser, needsAccounts, userOf } from '../../node-agent/images/user-of.ts';
import type { PlannedStep, RunAction } from '../dockerfile/plan-types.ts';
import { LayeredTree } from '../layers/layered-tree.ts';
import { readAccounts } from './accounts.ts';
import { badEnd, runFailed, stepFault } from './build-error.ts';
import { OutputLines } from './output-lines.ts';

const DISK_CHECK_MS = 1_000;

export interface RunOptions {
  step: PlannedStep;
  steps: number;
  action: RunAction;
  /** Folders of the layers below, lowest first. */
  layers: readonly string[];
  /** An empty folder of this step's own; its upper folder comes to lie in it. */
  workFolder: string;
  engine: Engine;
  resolvConf: string;
  emit(event: NewDeployEvent): void;
  signal: AbortSignal;
}

/**
 * Runs a RUN in a container over the layers below; the folder with what it changed.
 * @throws HearthError BuildStepFailed, BuildDiskFull, and the reason of the signal
 */
export async function runStep(options: RunOptions): Promise<string> {
  const { workFolder, engine, signal } = options;
  const upperDir = join(workFolder, 'upper');
  await mkdir(upperDir, { mode: 0o755 });
  const spec = await specOf(options, upperDir);
  const output = new OutputLines({
    onLine: (stream, text) =>
      options.emit({ type: 'output', step: options.step.step, stream, text }),
  });
  signal.throwIfAborted();
  const container = await start(engine, spec, options);
  try {
    await attend(container, output, options);
  } finally {
    await container.kill();
    await container.remove();
  }
  await removeTree(`${upperDir}.work`);
  return upperDir;
}

async function specOf(options: RunOptions, upperDir: string): Promise<ContainerSpec> {
  const { action, step, workFolder } = options;
  const layers = [...options.layers];
  if (layers.length === 0) {
    const empty = join(workFolder, 'empty');
    await mkdir(empty, { mode: 0o755 });
    layers.push(empty);
  }
  const hasHome = action.env.some((entry) => entry.startsWith('HOME='));
  return {
    id: newId('build'),
    hostname: 'build',
    layers,
    upperDir,
    argv: action.argv,
    env: hasHome ? action.env : [...action.env, 'HOME=/root'],
    cwd: action.cwd,
    user: await userIn(step, action.user, layers),
    capabilities: DEFAULT_CAPABILITIES,
    resources: resources(),
    network: action.network,
    files: {
      '/etc/resolv.conf': options.resolvConf,
      '/etc/hosts': '127.0.0.1 localhost\n127.0.0.1 build\n',
    },
  };
}

async function userIn(
  step: PlannedStep,
  user: string,
  layers: readonly string[],
): Promise<ContainerUser> {
  const none = { passwd: undefined, group: undefined };
  try {
    return userOf(user, needsAccounts(user) ? await readAccounts(new LayeredTree(layers)) : none);
  } catch (error) {
    throw stepFault(step, (error as Error).message);
  }
}

function resources(): ContainerSpec['resources'] {
  return {
    memoryBytes: Math.max(GIB, Math.floor(totalmem() / 2 / MIB) * MIB),
    cpuMillis: availableParallelism() * 1000,
    pids: LIMITS.pidsMax,
    diskBytes: LIMITS.instanceDiskBytes,
    openFiles: LIMITS.instanceOpenFiles,
  };
}

async function start(engine: Engine, spec: ContainerSpec, options: RunOptions): Promise<Container> {
  try {
    return await engine.start(spec);
  } catch (error) {
    if (!(error instanceof HearthError)) throw error;
    if (!['EntrypointNotFound', 'ExecFormat', 'StartFailed'].includes(error.code)) throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    throw runFailed({ ...options, logTail: [] }, `cannot run: ${error.message}`, hint);
  }
}

/** Waits for the program's end, while it has room on the disk and nobody aborts. */
async function attend(
  container: Container,
  output: OutputLines,
  options: RunOptions,
): Promise<void> {
  const { signal, workFolder } = options;
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const onAbort = (): void => ended.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const timer = setInterval(() => {
    void statfs(workFolder).then((disk) => {
      if (hasRoom(disk)) return;
      const hint = 'free space in the data root, or make the step write less';
      const what = 'filled the disk of the builder';
      const code = 'BuildDiskFull' as const;
      ended.reject(runFailed({ ...options, logTail: output.tail }, what, { hint, code }));
    });
  }, DISK_CHECK_MS);
  container.onOutput((stream, chunk) => output.push(stream, chunk));
  try {
    const status = await Promise.race([container.exited, ended.promise]);
    output.end();
    const bad = badEnd(status, container.spec.resources.memoryBytes);
    if (bad === undefined) return;
    const { what, ...hint } = bad;
    throw runFailed({ ...options, logTail: [...output.tail] }, what, hint);
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Room for bytes, and for names: a step that makes empty files fills a disk too. */
export function hasRoom(disk: { bavail: number; bsize: number; files: number; ffree: number }) {
  const { bavail, bsize, files, ffree } = disk;
  // Some file systems make room for names as they are needed, and say 0
  const hasNames = files === 0 || ffree >= LIMITS.buildFreeFilesMin;
  return hasNames && bavail * bsize >= LIMITS.buildFreeBytesMin;
}
