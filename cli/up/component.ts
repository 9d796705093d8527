import { rmSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { HearthError } from '../../lib/errors.ts';
import { formatDuration } from '../../lib/units.ts';
import { type Child, type Launch, spawnChild } from './child.ts';
import { logTail } from './log-file.ts';
import { residentBytes, userOf, writeProcessFile } from './process-id.ts';
import { decideRestart, type RestartState } from './restart-policy.ts';

export interface ComponentOptions {
  launch: Launch;
  pidPath: string;
  /** One line for the user about something that happened. */
  say(line: string): void;
  startMsMax: number;
  /** Its containers outlive it when it dies. */
  keepsContainers: boolean;
}

export interface ComponentStatus {
  name: string;
  pid: number;
  addresses: Record<string, string>;
  /** From spawn until it served, of the newest start. */
  readyMs: number;
  restarts: number;
  residentBytes: number | undefined;
  /** Its real uid; undefined when it is gone. */
  uid: number | undefined;
}

const LOG_LINES_SHOWN = 8;
/** A daemon gives up its own stop after 60 s (lib/daemon.ts). */
const STOP_MS_MAX = 65_000;

/** Keeps one component running: starts it, starts it again when it dies, stops it. */
export class Component {
  readonly #options: ComponentOptions;
  #child: Child | undefined;
  #stopping = new AbortController();
  #watching: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #addresses: Record<string, string> = {};
  #readyMs = 0;
  #restarts = 0;

  constructor(options: ComponentOptions) {
    this.#options = options;
  }

  /** @throws HearthError PlatformUnavailable with the end of its log when it does not get ready */
  async start(): Promise<void> {
    const child = this.#spawn();
    const startedAtMs = performance.now();
    try {
      await this.#untilReady(child, startedAtMs);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#watching = this.#watch(child, startedAtMs);
  }

  status(): ComponentStatus {
    const pid = this.#child?.pid ?? 0;
    return {
      name: this.#options.launch.name,
      pid,
      addresses: this.#addresses,
      readyMs: this.#readyMs,
      restarts: this.#restarts,
      residentBytes: residentBytes(pid),
      uid: userOf(pid),
    };
  }

  /** SIGTERM, once, then SIGKILL when it does not end in time; no restart after this. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #end(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    if (child !== undefined) {
      child.signal('SIGTERM');
      const timer = setTimeout(() => child.signal('SIGKILL'), STOP_MS_MAX);
      await child.exited;
      clearTimeout(timer);
    }
    await this.#watching;
    rmSync(this.#options.pidPath, { force: true });
  }

  kill(): void {
    this.#stopping.abort();
    this.#child?.signal('SIGKILL');
  }

  #spawn(): Child {
    const child = spawnChild(this.#options.launch);
    this.#child = child;
    writeProcessFile(this.#options.pidPath, child.pid);
    return child;
  }

  async #untilReady(child: Child, startedAtMs: number): Promise<void> {
    const { launch, startMsMax } = this.#options;
    const logFrom = sizeOf(launch.logPath);
    const timer = new AbortController();
    const late = sleep(startMsMax, undefined, { signal: timer.signal }).then(
      () => `not ready within ${formatDuration(startMsMax)}`,
      () => '',
    );
    const first = await Promise.race([child.ready, child.exited, late]);
    timer.abort();
    if (typeof first === 'string') {
      const tail = logTail(launch.logPath, { from: logFrom, lines: LOG_LINES_SHOWN });
      throw new HearthError('PlatformUnavailable', `${launch.name} did not start (${first})`, {
        hint: `the whole log is ${launch.logPath}`,
        details: { logTail: tail },
      });
    }
    this.#addresses = first;
    this.#readyMs = performance.now() - startedAtMs;
  }

  async #watch(child: Child, startedAtMs: number): Promise<void> {
    const { launch, say } = this.#options;
    let current = child;
    let sinceMs = startedAtMs;
    let state: RestartState = { deaths: 0 };
    for (;;) {
      const how = await current.exited;
      if (this.#stopping.signal.aborted) return;
      const decision = decideRestart(state, performance.now() - sinceMs);
      state = decision.state;
      say(
        `${launch.name} ended (${how}); starting it again in ${formatDuration(decision.delayMs)}`,
      );
      await this.#pause(decision.delayMs);
      if (this.#stopping.signal.aborted) return this.#clearUp();
      current = this.#spawn();
      sinceMs = performance.now();
      this.#restarts++;
      await this.#announce(current, sinceMs);
    }
  }

  /** One more run for the sake of its orderly end: it finds what the one that died has left. */
  async #clearUp(): Promise<void> {
    if (!this.#options.keepsContainers) return;
    const child = this.#spawn();
    const timer = setTimeout(() => child.signal('SIGKILL'), STOP_MS_MAX);
    await Promise.race([child.ready, child.exited]);
    child.signal('SIGTERM');
    await child.exited;
    clearTimeout(timer);
  }

  async #announce(child: Child, startedAtMs: number): Promise<void> {
    const { launch, say } = this.#options;
    try {
      await this.#untilReady(child, startedAtMs);
      say(`${launch.name} is ready again after ${formatDuration(this.#readyMs)}`);
    } catch (error) {
      // It is ended here and counted as one more death by the loop.
      child.signal('SIGKILL');
      if (!this.#stopping.signal.aborted) say((error as Error).message);
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
