import type { Socket } from 'node:net';
import { EnteredProcess, type EnterTarget } from '../exec/enter-container.ts';
import { syscalls } from '../kernel/syscalls.ts';
import type { FileTask } from '../launcher/enter-messages.ts';
import { encodeFileFrame, type FileFrame, FileFrameReader } from '../launcher/files/file-frames.ts';
import { engineFile, readablePipe, writablePipe } from '../output/engine-pipe.ts';

/** uid 0 of the container, with what files of all its users take, and no more. */
const USER = { uid: 0, gid: 0, groups: [] };
const CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_FSETID'];

/** A process inside a container that reads or makes files for the engine: launcher/file-service.ts. */
export class FileService {
  readonly #input: Socket;
  readonly #output: Socket;
  readonly #entered: EnteredProcess;
  #broken = false;
  #wake: () => void = () => {};

  private constructor(input: Socket, output: Socket, entered: EnteredProcess) {
    this.#input = input;
    this.#output = output;
    this.#entered = entered;
    const broken = (): void => {
      this.#broken = true;
      this.#wake();
    };
    input.on('error', broken).on('close', broken);
    input.on('drain', () => this.#wake());
  }

  /** @throws StartRefused; HearthError Conflict when the container does not run, or is paused */
  static async start(target: EnterTarget, task: FileTask): Promise<FileService> {
    const input = writablePipe();
    const output = readablePipe();
    const entered = new EnteredProcess();
    try {
      const [from, to] = [engineFile(input.otherFd), engineFile(output.otherFd)];
      const work = { kind: 'files', input: from, output: to, task } as const;
      await entered.enter(target, { work, user: USER, capabilities: CAPABILITIES });
      return new FileService(input.socket, output.socket, entered);
    } catch (error) {
      input.socket.destroy();
      output.socket.destroy();
      throw error;
    } finally {
      for (const { otherFd } of [input, output]) syscalls.close(otherFd);
    }
  }

  /** What it says, to the end of its life, at the reader's pace. */
  async *frames(): AsyncGenerator<FileFrame> {
    const reader = new FileFrameReader();
    for await (const chunk of this.#output) yield* reader.push(chunk as Buffer);
  }

  /** Resolves when there is room for more; false when it does not listen any more. */
  async send(frame: FileFrame): Promise<boolean> {
    if (this.#broken) return false;
    const drained = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    if (!this.#input.write(encodeFileFrame(frame))) await drained;
    return !this.#broken;
  }

  /** Ends it, whatever it does. */
  close(): void {
    this.#input.destroy();
    this.#output.destroy();
    this.#entered.signal('SIGKILL');
  }
}
