import type { DeployEvent } from '../../lib/deploy-events.ts';
import type { Terminal } from '../terminal.ts';
import { advance, type Line, liveLines, PROGRESS_START, plainLines, showLine } from './progress.ts';

const REDRAW_MS = 100;

const STYLES = {
  done: 'green',
  cached: 'dim',
  warning: 'yellow',
  failed: 'red',
  plain: 'reset',
} as const satisfies Record<Line['kind'], string>;

/** Shows deploy events on the terminal: a small region that is redrawn, or plain lines in a pipe. */
export class ProgressView {
  readonly #terminal: Terminal;
  #progress = PROGRESS_START;
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    if (terminal.isLive) this.#timer = setInterval(() => this.#redraw([]), REDRAW_MS).unref();
  }

  show(event: DeployEvent): void {
    const advanced = advance(this.#progress, event);
    this.#progress = advanced.progress;
    if (this.#terminal.isLive) this.#redraw(advanced.lines);
    else for (const line of plainLines(advanced, event)) this.#terminal.err(`${line}\n`);
  }

  /** Something that is no event: the upload's bytes. An empty text takes it away again. */
  note(title: string): void {
    if (!this.#terminal.isLive) return;
    const current = title === '' ? undefined : { title, sinceMs: this.#sinceMs(), step: 0 };
    this.#progress = { ...this.#progress, current };
    this.#redraw([]);
  }

  /** Leaves what is finished on the screen and nothing else. */
  close(): void {
    clearInterval(this.#timer);
    this.#progress = PROGRESS_START;
    if (this.#terminal.isLive) this.#redraw([]);
  }

  #sinceMs(): number {
    return this.#progress.current?.sinceMs ?? Date.now();
  }

  #redraw(finished: readonly Line[]): void {
    const { columns } = this.#terminal;
    const live = liveLines(this.#progress, { nowMs: Date.now(), columns });
    if (this.#drawn === 0 && live.length === 0 && finished.length === 0) return;
    // To the line's beginning as well: the terminal may have echoed a ^C.
    const up = this.#drawn === 0 ? '' : `\r\x1b[${this.#drawn}A`;
    const styled = finished.map((line) => this.#terminal.style(STYLES[line.kind], showLine(line)));
    const [head, ...output] = live;
    const dim = output.map((line) => this.#terminal.style('dim', line));
    const lines = [...styled, ...(head === undefined ? [] : [head, ...dim])];
    this.#terminal.err(`${up}\x1b[J${lines.map((line) => `${line}\n`).join('')}`);
    this.#drawn = live.length;
  }
}
