import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

const END_MS = 20_000;

/** A program that answers each line it is given with lines of its own. */
export class LineProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #ended: Promise<void>;

  constructor(program: string, args: readonly string[]) {
    this.#child = spawn(program, [...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', () => resolve());
      this.#child.once('close', () => resolve());
    });
    this.#reader = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Asks once. */
  ask(): void {
    this.#child.stdin?.write('\n');
  }

  /** The next line. @throws Error when the program has ended */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`${this.#child.spawnfile} ended`);
    return value;
  }

  /** Lines up to one that is `end`. */
  async linesUntil(end: string): Promise<string[]> {
    const lines: string[] = [];
    for (let line = await this.line(); line !== end; line = await this.line()) lines.push(line);
    return lines;
  }

  /** Lets it end by itself: it cleans up when nobody asks any more. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS);
    await this.#ended;
    clearTimeout(timer);
    this.#reader.close();
  }
}
