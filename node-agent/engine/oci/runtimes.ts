import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HearthError } from '../../../lib/errors.ts';
import { suggest } from '../../../lib/suggest.ts';
import type { Log } from '../../../lib/telemetry/log.ts';
import { detectCgroupLayout } from '../cgroup/cgroup.ts';
import { containerFolder } from '../cgroup/cgroup-plan.ts';
import type { ContainerResources, ContainerSpec } from '../container-spec.ts';
import type { EngineOptions } from '../engine-types.ts';
import { runProgram } from '../kernel/run-program.ts';
import { engineArch } from '../kernel/syscall-numbers.ts';
import type { CgroupView, StartFailure, StartPlan } from '../launcher/messages.ts';
import type { RuntimePlan } from '../launcher/runtime/runtime-messages.ts';
import { runtimeCgroups } from './runtime-cgroups.ts';
import { deleteArguments, type OciRuntime, runCommand } from './runtime-command.ts';
import { runtimeError } from './runtime-error.ts';
import { toRuntimeConfig } from './to-config.ts';

const LOG_BYTES_MAX = 16 * 1024;
/** The only pid namespace that a runtime makes is the program's own. */
const PROGRAM_PID = 1;
/** Threads and processes of runc itself in the container, before the program. */
const RUNTIME_PIDS = 16;

/** What the engine has prepared for a container of another runtime. */
export interface PreparedRuntime {
  start: StartPlan;
  /** Name of its cgroups. */
  cgroup: string;
  cgroupViews: readonly CgroupView[];
  /** Its folder, for the runtime's log and pid file. */
  folder: string;
}

/** The other OCI runtimes of an engine: what they are told, and what is left of them. */
export class OciRuntimes {
  readonly #engine: string;
  readonly #runtimes: NonNullable<EngineOptions['runtimes']>;
  readonly #stateDir: string;
  readonly #bundleDir: string;
  readonly #log: Log;

  constructor(options: Pick<EngineOptions, 'name' | 'stateDir' | 'runtimes' | 'log'>) {
    this.#engine = options.name;
    this.#runtimes = options.runtimes ?? {};
    this.#stateDir = join(options.stateDir, 'oci');
    // Not below the state folder, which is closed to the users of containers
    this.#bundleDir = `/run/hearth-${options.name}`;
    this.#log = options.log;
  }

  /** @throws HearthError ConfigInvalid for a name that is none, KernelUnsupported without its program */
  find(name: string): OciRuntime {
    const runtime = Object.hasOwn(this.#runtimes, name) ? this.#runtimes[name] : undefined;
    if (runtime === undefined) throw unknownRuntime(name, Object.keys(this.#runtimes));
    if (!existsSync(runtime.path)) {
      this.#log.error({ runtime: name, path: runtime.path }, 'program of a runtime is missing');
      throw new HearthError('KernelUnsupported', `runtime "${name}": its program is missing`, {
        hint: 'install it on the node, or take its name out of the node agent’s runtimes',
      });
    }
    return { name, path: runtime.path, args: runtime.args ?? [] };
  }

  /** The launcher's orders. @throws as `find` */
  plan(spec: ContainerSpec, prepared: PreparedRuntime): RuntimePlan {
    const runtime = this.find(spec.ociRuntime ?? '');
    const { cgroup, cgroupViews, folder } = prepared;
    const start = { ...prepared.start, env: environmentOf(spec, prepared.start.env) };
    const paths = {
      stateDir: this.#stateOf(runtime.name),
      log: join(folder, 'runtime.log'),
      pidFile: join(folder, 'runtime.pid'),
      bundleDir: this.#bundleDir,
    };
    mkdirSync(paths.stateDir, { recursive: true, mode: 0o700 });
    mkdirSync(this.#bundleDir, { recursive: true, mode: 0o711 });
    const extraFds = (spec.listenPath === undefined ? 0 : 1) + (spec.statusPipe === true ? 1 : 0);
    return {
      start,
      bundleDir: this.#bundleDir,
      config: JSON.stringify(
        toRuntimeConfig(forRuntime(spec, start), {
          rootPath: 'root',
          uidBase: start.uidBase,
          cgroupsPath: containerFolder(this.#engine, cgroup)(''),
          ...(start.netns === undefined ? {} : { netns: start.netns }),
          arch: engineArch(),
        }),
      ),
      program: runtime.path,
      argv: runCommand(runtime, { id: spec.id, paths, extraFds }),
      cgroups: this.#inherited(cgroup),
      cgroupViews,
      pidFile: paths.pidFile,
    };
  }

  /** The error of a start that the runtime gave up. */
  error(failure: StartFailure, spec: ContainerSpec, folder: string): HearthError {
    const log = readTail(join(folder, 'runtime.log'));
    const runtime = spec.ociRuntime ?? '';
    this.#log.warn({ container: spec.id, runtime, failure, log }, 'runtime failed');
    return runtimeError(failure, { runtime, log, program: spec.argv[0] ?? '' });
  }

  /** Removes what a runtime keeps of a container whose processes are gone, and its own cgroups. */
  async remove(spec: ContainerSpec, cgroup: string): Promise<void> {
    const name = spec.ociRuntime;
    if (name === undefined) return;
    const stateDir = this.#stateOf(name);
    try {
      const runtime = this.find(name);
      await runProgram(runtime.path, deleteArguments(runtime, stateDir, spec.id));
    } catch (error) {
      // Its files are all there is once no process is left
      this.#log.warn({ container: spec.id, error: String(error) }, 'runtime cannot remove it');
    }
    rmSync(join(stateDir, spec.id), { recursive: true, force: true });
    for (const root of runtimeCgroups()) {
      removeIfEmpty(containerFolder(this.#engine, cgroup)(root));
    }
  }

  /** Removes the runtimes' folders and cgroups, after the last container. */
  close(): void {
    if (!existsSync(this.#stateDir)) return;
    rmSync(this.#stateDir, { recursive: true, force: true });
    removeIfEmpty(this.#bundleDir);
    for (const root of runtimeCgroups()) {
      removeIfEmpty(`${root}/hearth/${this.#engine}`);
      removeIfEmpty(`${root}/hearth`);
    }
  }

  #stateOf(name: string): string {
    return join(this.#stateDir, name);
  }

  /** A runtime that finds its controllers in v1 hierarchies leaves the tree of v2 as it is. */
  #inherited(cgroup: string): string[] {
    const { v2, version } = detectCgroupLayout();
    if (version === 'v2' || v2 === undefined) return [];
    return [containerFolder(this.#engine, cgroup)(v2)];
  }
}

/** What the engine sets or mounts by itself, before the runtime begins or after, is not for it. */
function forRuntime(spec: ContainerSpec, start: StartPlan): ContainerSpec {
  const { mounts: _, ...rest } = spec;
  const { swapBytes: _swap, cpuWeight: _weight, ...resources } = startingResources(spec);
  return { ...rest, env: start.env, resources };
}

/** Limits of a container until its program runs: a runtime has processes of its own in there. */
export function startingResources(spec: ContainerSpec): ContainerResources {
  const { ociRuntime, resources } = spec;
  if (ociRuntime === undefined) return resources;
  return { ...resources, pids: Math.max(resources.pids, RUNTIME_PIDS) };
}

/** sd_listen_fds(3) wants the pid as the program sees it. */
function environmentOf(spec: ContainerSpec, env: readonly string[]): readonly string[] {
  if (spec.listenPath === undefined) return env;
  return env.map((entry) =>
    entry.startsWith('LISTEN_PID=') ? `LISTEN_PID=${PROGRAM_PID}` : entry,
  );
}

function unknownRuntime(name: string, known: readonly string[]): HearthError {
  const list = known.length === 0 ? 'none' : [...known].sort().join(', ');
  const near = suggest(name, known);
  const message = `runtime "${name}" is not configured on this node; configured: ${list}`;
  const hint =
    near === undefined
      ? 'the node agent’s setting `runtimes` names them, as dockerd’s does'
      : `did you mean "${near}"?`;
  return new HearthError('ConfigInvalid', message, { hint });
}

function readTail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-LOG_BYTES_MAX);
  } catch {
    return '';
  }
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not there, or another engine's
  }
}
