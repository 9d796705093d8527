import { LIMITS } from '../../lib/limits.ts';
import type { LogLine } from '../../lib/log-line.ts';
import { formatBytes } from '../../lib/units.ts';
import { LineSplitter } from './line-splitter.ts';
import type { LogFiles } from './log-files.ts';
import {
  admit,
  freshRate,
  type RateLimits,
  type RateState,
  type RateVerdict,
} from './rate-limit.ts';

export interface ContainerLogOptions {
  /** The function's log, looked up at each line: one that was forgotten while idle is not kept. */
  target(): Pick<LogFiles, 'append'>;
  functionName: string;
  instanceId: string;
  onDropped(bytes: number): void;
}

const RATE: RateLimits = {
  bytesPerSecond: LIMITS.logRateBytesPerSecond,
  burstBytes: LIMITS.logBurstBytes,
};
const NEWLINE = 0x0a;
const LINE_COST_BYTES = 128;

interface Stream {
  splitter: LineSplitter;
  /** After a drop in the middle of a line, output goes on at the next one's start. */
  skipping: boolean;
}

/** What one instance writes: its output as lines, within a rate, and what the agent says about it. */
export class ContainerLog {
  readonly #options: ContainerLogOptions;
  readonly #streams: Record<'stdout' | 'stderr', Stream> = { stdout: stream(), stderr: stream() };
  readonly #lastTexts: string[] = [];
  #rate: RateState = freshRate(RATE, performance.now());
  /** Output dropped and not yet told. */
  #droppedBytes = 0;

  constructor(options: ContainerLogOptions) {
    this.#options = options;
  }

  /** Takes a chunk of the container's output. */
  output(name: 'stdout' | 'stderr', chunk: Buffer): void {
    const target = this.#streams[name];
    const rest = afterSkip(target, chunk);
    this.#drop(chunk.length - rest.length);
    if (rest.length === 0) return;
    const verdict = this.#admit(rest);
    this.#rate = verdict.state;
    if (!verdict.accepted) {
      this.#endLine(name);
      target.skipping = rest[rest.length - 1] !== NEWLINE;
      this.#drop(rest.length);
      return;
    }
    this.#sayDropped();
    for (const line of target.splitter.push(rest)) this.#line(name, line);
  }

  /** A line of the agent's about the instance. */
  system(text: string): void {
    this.#line('system', text);
  }

  /** Another process of the agent goes on with it; `missedBytes` were written while none was there. */
  adopted(missedBytes = 0): void {
    const missed = missedBytes === 0 ? '' : `; ${missedBytes} bytes of output before are lost`;
    if (missedBytes > 0) this.#options.onDropped(missedBytes);
    this.system(`adopted by a new process of the node agent${missed}`);
  }

  /** The last lines, for errors. */
  get tail(): string[] {
    return [...this.#lastTexts];
  }

  /** Writes what is left of unended lines and says what was dropped last. */
  end(): void {
    this.#sayDropped();
    for (const name of ['stdout', 'stderr'] as const) this.#endLine(name);
  }

  /** Writes what stands of a line whose rest does not come. */
  #endLine(name: 'stdout' | 'stderr'): void {
    const rest = this.#streams[name].splitter.flush();
    if (rest !== undefined) this.#line(name, rest);
  }

  #admit(chunk: Buffer): RateVerdict {
    const nowMs = performance.now();
    const bare = admit(this.#rate, chunk.length, RATE, nowMs);
    // Lines of what is dropped anyway are not worth counting
    return bare.accepted ? admit(this.#rate, costOf(chunk), RATE, nowMs) : bare;
  }

  #drop(bytes: number): void {
    if (bytes === 0) return;
    this.#options.onDropped(bytes);
    this.#droppedBytes += bytes;
  }

  #sayDropped(): void {
    if (this.#droppedBytes === 0) return;
    const limit = `${formatBytes(RATE.bytesPerSecond)}/s`;
    const text = `… ${formatBytes(this.#droppedBytes)} dropped (limit ${limit})`;
    this.#droppedBytes = 0;
    this.system(text);
  }

  #line(name: LogLine['stream'], text: string): void {
    const { functionName, instanceId } = this.#options;
    this.#lastTexts.push(text.slice(0, LIMITS.errorLogLineLengthMax));
    if (this.#lastTexts.length > LIMITS.errorLogLines) this.#lastTexts.shift();
    const line: LogLine = { timeMs: Date.now(), functionName, instanceId, stream: name, text };
    this.#options.target().append(line);
  }
}

/** What a chunk takes of the rate: short lines cost what is kept beside their text. */
function costOf(chunk: Buffer): number {
  let lines = 0;
  for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) lines++;
  return chunk.length + lines * LINE_COST_BYTES;
}

function stream(): Stream {
  return { splitter: new LineSplitter(LIMITS.logLineBytesMax), skipping: false };
}

/** After a drop the rest of the cut line is skipped. */
function afterSkip(target: Stream, chunk: Buffer): Buffer {
  if (!target.skipping) return chunk;
  const newline = chunk.indexOf(NEWLINE);
  if (newline < 0) return Buffer.alloc(0);
  target.skipping = false;
  return chunk.subarray(newline + 1);
}
