import { StringDecoder } from 'node:string_decoder';
import { LIMITS } from '../../lib/limits.ts';

type Stream = 'stdout' | 'stderr';

export interface OutputLinesOptions {
  onLine(stream: Stream, text: string): void;
}

/**
 * A program's output as lines, with the last of them kept for an error. Longer lines are cut; of
 * more than `LIMITS.buildLogLengthMax` lines only the tail is kept, not passed on.
 */
export class OutputLines {
  readonly #options: OutputLinesOptions;
  readonly #open = {
    stdout: { decoder: new StringDecoder('utf8'), text: '' },
    stderr: { decoder: new StringDecoder('utf8'), text: '' },
  };
  readonly #tail: string[] = [];
  #lines = 0;

  constructor(options: OutputLinesOptions) {
    this.#options = options;
  }

  push(stream: Stream, chunk: Buffer): void {
    const open = this.#open[stream];
    const parts = (open.text + open.decoder.write(chunk)).split('\n');
    open.text = (parts.pop() ?? '').slice(0, LIMITS.logLineBytesMax);
    for (const part of parts) this.#line(stream, part);
  }

  /** Passes on what has no line end. */
  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const { text } = this.#open[stream];
      this.#open[stream].text = '';
      if (text !== '') this.#line(stream, text);
    }
  }

  /** The last lines of both streams. */
  get tail(): readonly string[] {
    return this.#tail;
  }

  #line(stream: Stream, raw: string): void {
    const text = shown(raw);
    this.#tail.push(text.slice(0, LIMITS.errorLogLineLengthMax));
    if (this.#tail.length > LIMITS.errorLogLines) this.#tail.shift();
    this.#lines++;
    if (this.#lines < LIMITS.buildLogLengthMax) this.#options.onLine(stream, text);
    else if (this.#lines === LIMITS.buildLogLengthMax) {
      this.#options.onLine('stderr', `more than ${this.#lines} lines: the rest is not shown`);
    }
  }
}

/** A progress bar redraws its line after a carriage return: its last state counts. */
function shown(raw: string): string {
  const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
  return line.slice(line.lastIndexOf('\r') + 1).slice(0, LIMITS.logLineBytesMax);
}
