import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ExecProcess } from '../engine/exec/exec-types.ts';
import { endFrame, FRAME, frame, send } from './exec-frames.ts';

/** From the hang-up until a program that stays is killed. */
const HANG_UP_MS = 2_000;
const KEEP_ALIVE_MS = 15_000;
const NOTHING = Buffer.alloc(0);

/** A program that was executed for one request: the request's body is its input, its output the answer. */
export class ExecSession {
  readonly exec: ExecProcess;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(exec: ExecProcess, request: IncomingMessage, response: ServerResponse) {
    this.exec = exec;
    this.#request = request;
    this.#response = response;
  }

  /** Both ways at once, until the program has ended or its caller has gone. */
  async run(): Promise<void> {
    const response = this.#response;
    const { exec } = this;
    response.once('close', () => {
      if (!response.writableFinished) this.hangUp();
    });
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'cache-control': 'no-store',
      'hearth-exec-id': exec.id,
    });
    // Now, as the caller sends its input only to a program that runs
    response.flushHeaders();
    if (response.destroyed) this.hangUp();
    const alive = setInterval(() => this.#keepAlive(), KEEP_ALIVE_MS);
    try {
      this.#feed();
      await Promise.all([
        this.#copy(exec.stdout, FRAME.stdout),
        this.#copy(exec.stderr, FRAME.stderr),
      ]);
      const exit = await exec.exited;
      if (!response.destroyed) response.end(endFrame(exit));
    } finally {
      clearInterval(alive);
    }
  }

  /** Its caller has gone, or must go: as when a terminal is closed, then by force. */
  hangUp(): void {
    const { exec } = this;
    this.#response.destroy();
    exec.stdout.destroy();
    exec.stderr.destroy();
    exec.signal('SIGHUP');
    const timer = setTimeout(() => exec.signal('SIGKILL'), HANG_UP_MS);
    void exec.exited.then(() => clearTimeout(timer));
  }

  /** Without input the body is of no use to anybody. */
  #feed(): void {
    const { stdin } = this.exec;
    if (stdin === undefined) this.#request.resume();
    // A program that reads no more, or a caller that sends no more, is no failure of either
    else void pipeline(this.#request, stdin).catch(() => this.#request.resume());
  }

  async #copy(output: Readable, kind: 1 | 2): Promise<void> {
    try {
      for await (const chunk of output) {
        if (!(await send(this.#response, frame(kind, chunk as Buffer)))) return;
      }
    } catch {
      // Destroyed by the hang-up
    }
  }

  /** Proxies keep the connection, and one whose other end has vanished shows. */
  #keepAlive(): void {
    const isIdle = !this.#response.destroyed && !this.#response.writableNeedDrain;
    if (isIdle) this.#response.write(frame(FRAME.stdout, NOTHING));
  }
}
