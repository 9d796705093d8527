import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../../lib/errors.ts';
import type { Log } from '../../lib/telemetry/log.ts';
import { ContainerAlarm } from './cgroup/container-alarm.ts';
import type { ContainerCgroup } from './cgroup/container-cgroup.ts';
import { ContainerPause } from './cgroup/container-pause.ts';
import { readStats } from './cgroup/container-usage.ts';
import { dieAttributes, type Emit } from './container-events.ts';
import type { ContainerSpec, ExitStatus, PublishedPort } from './container-spec.ts';
import { type ContainerFolder, lastOf, type RunningContainer } from './container-state.ts';
import type { ContainerStats } from './container-stats.ts';
import { ContainerFiles } from './copy/copy.ts';
import type { Container, ContainerTimings, KillOptions } from './engine-types.ts';
import { ContainerExecs } from './exec/exec.ts';
import type { CopyInOptions, ExecProcess, ExecSpec, PathStat } from './exec/exec-types.ts';
import type { ExitFiles } from './exit-files.ts';
import { failpoint } from './failpoints.ts';
import { isSameProcess } from './kernel/process-identity.ts';
import { syscalls } from './kernel/syscalls.ts';
import type { LauncherClient } from './launcher-client.ts';
import type { NetworkSlot } from './network/network-plan.ts';
import type { OciRuntimes } from './oci/runtimes.ts';
import { reapOrphan } from './orphans.ts';
import { ContainerOutput, type OutputListener, StatusLine } from './output/output.ts';
import { readSpill, removeSpill, type Spilled } from './output/spill.ts';
import { exitStatus } from './start-error.ts';
import { isOnDisk, removeDiskImage } from './storage/disk-image.ts';

type Signal = Parameters<Container['signal']>[0];

/** How long the last output may be on its way after the last process has ended. */
const OUTPUT_END_MS = 500;

/** Everything on the host that belongs to one container; its pipes are in `folder` by now. */
export interface ContainerParts {
  spec: ContainerSpec;
  uidSlot: number;
  /** First host uid of its range. */
  uidBase: number;
  folder: ContainerFolder;
  cgroup: ContainerCgroup;
  exits: ExitFiles;
  runtimes: OciRuntimes;
  network?: NetworkSlot;
  log: Log;
  emit: Emit;
  /** Sends processes into it. */
  launcher: () => Promise<LauncherClient>;
  /** Gives the slots back, and forgets the container. */
  onRemoved: () => Promise<void>;
}

/** A container of this engine: started by it, or adopted. */
export class LiveContainer implements Container {
  readonly id: string;
  readonly spec: ContainerSpec;
  readonly address: string | undefined;
  readonly ports: readonly PublishedPort[];
  readonly status: Promise<string | undefined>;
  readonly exited: Promise<ExitStatus>;
  readonly parts: ContainerParts;
  readonly #output: ContainerOutput;
  readonly #statusLine: StatusLine | undefined;
  readonly #alarm: ContainerAlarm;
  readonly #pause: ContainerPause;
  readonly #execs = new ContainerExecs(this);
  readonly #files = new ContainerFiles(this);
  timings: ContainerTimings = { queueMs: 0, spawnMs: 0 };
  #process: RunningContainer | undefined;
  #saidStart = false;
  /** What it said while no engine was there, for the first who listens. */
  readonly #spilled: Spilled['chunks'][number][] = [];
  #missedOutputBytes = 0;
  #hasSpill = false;
  #pidfd: number | undefined;
  #resolveExited: (status: ExitStatus) => void = () => {};
  #ended = false;
  #removed: Promise<void> | undefined;

  constructor(parts: ContainerParts) {
    this.parts = parts;
    this.id = parts.spec.id;
    this.spec = parts.spec;
    this.address = parts.network?.address;
    this.ports = parts.network?.ports ?? [];
    this.#output = new ContainerOutput(parts.folder);
    this.#alarm = new ContainerAlarm(parts);
    this.#pause = new ContainerPause(parts);
    this.#statusLine =
      parts.spec.statusPipe === true ? new StatusLine(parts.folder.status) : undefined;
    this.status = this.#statusLine?.line ?? Promise.resolve(undefined);
    this.exited = new Promise((resolve) => {
      this.#resolveExited = resolve;
    });
  }

  /** Reads what it says from now on. */
  listen(): void {
    this.#output.begin();
    this.#statusLine?.begin();
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Undefined until the program runs. */
  get process(): RunningContainer | undefined {
    return this.#process;
  }

  /** Its program was executed. */
  started(process: RunningContainer): void {
    this.#runsAs(process);
    this.#sayStart();
  }

  /** Its program was executed by an earlier process of the engine, which said so. */
  adopted(process: RunningContainer): void {
    this.#saidStart = true;
    const { chunks, droppedBytes } = readSpill(this.parts.folder.path);
    this.#spilled.push(...chunks);
    this.#missedOutputBytes = droppedBytes;
    this.#hasSpill = chunks.length + droppedBytes > 0;
    this.#runsAs(process);
    this.#alarm.begin(process.pid);
  }

  /** Gets hold of the process that is on its way to its program. */
  expects(process: RunningContainer): void {
    try {
      const pidfd = syscalls.pidfdOpen(process.pid);
      // Only a descriptor surely means this process: a pid can be another's by now
      if (isSameProcess(process.pid, process.startTime)) this.#pidfd = pidfd;
      else syscalls.close(pidfd);
    } catch {
      // It has ended already; its report follows
    }
  }

  #runsAs(process: RunningContainer): void {
    this.#process = process;
    if (this.#pidfd === undefined) this.expects(process);
  }

  /** The launcher's report of its end. */
  async ended(status: number | undefined): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    failpoint('end.before');
    this.#closePidfd();
    const process = this.#process;
    if (status === undefined && process !== undefined) void reapOrphan(lastOf(process).pid);
    const { cgroup, exits } = this.parts;
    // Processes that entered by other ways than its pid namespace: none should be left
    await cgroup.kill().catch(() => {});
    failpoint('end.after-kill');
    await Promise.race([this.#output.ended(), sleep(OUTPUT_END_MS, undefined, { ref: false })]);
    this.#output.close();
    this.#statusLine?.close();
    failpoint('end.after-output');
    const exit = this.#withMemory(exitStatus(exits.read(cgroup.name) ?? status, cgroup.oomKills()));
    this.#sayEnd(exit);
    this.#resolveExited(exit);
  }

  get missedOutputBytes(): number {
    return this.#missedOutputBytes;
  }

  onOutput(listener: OutputListener): void {
    for (const { stream, chunk } of this.#spilled.splice(0)) listener(stream, chunk);
    if (this.#hasSpill) removeSpill(this.parts.folder.path);
    this.#hasSpill = false;
    this.#output.listen(listener);
  }

  signal(signal: Signal): void {
    if (!this.#send(signal)) return;
    this.parts.emit('kill', { signal: constants.signals[signal] });
    // One that is paused would never hear it
    if (signal !== 'SIGHUP') this.#pause.thaw();
  }

  async kill(options: KillOptions = {}): Promise<ExitStatus> {
    if (this.#ended) return this.exited;
    this.parts.emit('kill', { signal: constants.signals.SIGKILL, ...options });
    failpoint('kill.before');
    await this.parts.cgroup.kill();
    failpoint('kill.after-cgroup');
    this.#send('SIGKILL');
    return this.exited;
  }

  remove(): Promise<void> {
    const removed = this.#removed ?? this.#remove();
    this.#removed = removed;
    removed.catch(() => {
      // What the host lacked it may have later: it can be asked again
      this.#removed = undefined;
    });
    return removed;
  }

  async memory(): Promise<{ currentBytes: number; peakBytes: number }> {
    return this.parts.cgroup.memory();
  }

  async stats(): Promise<ContainerStats> {
    return readStats(this.parts);
  }

  exec(spec: ExecSpec): Promise<ExecProcess> {
    return this.#execs.start(spec);
  }

  stat(path: string): Promise<PathStat> {
    return this.#files.stat(path);
  }

  copyOut(path: string): Promise<{ stat: PathStat; tar: Readable }> {
    return this.#files.copyOut(path);
  }

  copyIn(folder: string, tar: Readable, options: CopyInOptions = {}): Promise<void> {
    return this.#files.copyIn(folder, tar, options);
  }

  get paused(): boolean {
    return !this.#ended && this.#pause.paused;
  }

  async pause(): Promise<void> {
    if (this.#ended) throw new HearthError('Conflict', `container "${this.id}" has ended`);
    await this.#pause.pause();
  }

  async resume(): Promise<void> {
    this.#pause.resume();
  }

  /** Says which limits it has met since the last look. */
  look(): void {
    if (!this.#ended && this.#process !== undefined) this.#alarm.look(this.pid);
  }

  /** Lets go of what this process holds, and leaves the container as it is. */
  detach(): void {
    this.#closePidfd();
    this.#output.close();
    this.#statusLine?.close();
  }

  async #remove(): Promise<void> {
    if (!this.#ended) await this.kill();
    failpoint('remove.before');
    await removeParts(this.parts);
    await this.parts.onRemoved();
    failpoint('remove.after-slots');
    this.parts.emit('destroy');
  }

  /** False when it has ended. */
  #send(signal: Signal): boolean {
    if (this.#pidfd === undefined) return false;
    try {
      syscalls.pidfdSendSignal(this.#pidfd, constants.signals[signal]);
      return true;
    } catch {
      // It ended meanwhile, which is what most signals are for
      return false;
    }
  }

  /** The report of a quick end can be read before the start that waits for its own has gone on. */
  #sayStart(): void {
    if (this.#saidStart) return;
    this.#saidStart = true;
    this.parts.emit('start');
  }

  #sayEnd(exit: ExitStatus): void {
    this.#sayStart();
    this.#alarm.look(undefined);
    this.parts.emit('die', dieAttributes(exit));
  }

  /** Limit and peak, which go with the cgroup. */
  #withMemory(exit: ExitStatus): ExitStatus {
    if (!exit.oomKilled) return exit;
    const limitBytes = this.spec.resources.memoryBytes;
    return { ...exit, memory: { limitBytes, peakBytes: this.parts.cgroup.memory().peakBytes } };
  }

  #closePidfd(): void {
    if (this.#pidfd !== undefined) syscalls.close(this.#pidfd);
    this.#pidfd = undefined;
  }
}

/** Removes what a container leaves on disk and in the cgroup tree. Its processes are gone. */
export async function removeParts(
  parts: Pick<ContainerParts, 'spec' | 'cgroup' | 'exits' | 'runtimes' | 'folder'>,
): Promise<void> {
  const { spec, cgroup, exits, runtimes, folder } = parts;
  await runtimes.remove(spec, cgroup.name);
  await cgroup.remove();
  failpoint('remove.after-cgroup');
  exits.remove(cgroup.name);
  failpoint('remove.after-exit-file');
  if (spec.listenPath !== undefined) rmSync(spec.listenPath, { force: true });
  failpoint('remove.after-socket');
  if (spec.upperDir !== undefined) rmSync(workDir(spec.upperDir), { recursive: true, force: true });
  failpoint('remove.after-work');
  if (isOnDisk(spec)) await removeDiskImage(folder.disk);
  folder.remove();
  failpoint('remove.after-folder');
}

/** Overlay's scratch folder beside an upper layer that stays. */
export function workDir(upperDir: string): string {
  return `${upperDir}.work`;
}
