import type { DeployEvent } from '../../lib/deploy-events.ts';
import { formatBytes, formatDuration } from '../../lib/units.ts';
import { cleanLine, cleanText } from '../clean-text.ts';
import { fitColumns } from './text-width.ts';

/** What the screen shows of a deploy: pure, from events alone. */
export interface Progress {
  /** What goes on now; undefined between two steps. */
  current: { title: string; sinceMs: number; step: number } | undefined;
  steps: number;
  /** The last lines of output of the current step. */
  output: readonly string[];
}

export const PROGRESS_START: Progress = { current: undefined, steps: 0, output: [] };

/** A line that stays, and how it is meant. */
export interface Line {
  kind: 'done' | 'cached' | 'warning' | 'plain' | 'failed';
  text: string;
}

export interface Advance {
  progress: Progress;
  /** Lines that are finished: written once, never redrawn. */
  lines: Line[];
}

const OUTPUT_LINES_KEPT = 5;
const WAITING = 'waiting for the builder';

/** The progress after one event, and the lines that it finishes. */
export function advance(progress: Progress, event: DeployEvent): Advance {
  switch (event.type) {
    case 'queued':
      return busy(progress, WAITING, event.timeMs, []);
    case 'image':
      return busy(progress, imageTitle(event, 'pulling'), event.timeMs, []);
    case 'image-done':
      return idle(progress, imageTitle(event, 'pulled'), event.durationMs);
    case 'step': {
      const title = `${event.step}/${event.steps} ${cleanLine(event.text)}`;
      const next = { ...progress, steps: event.steps };
      return busy(next, title, event.timeMs, [], event.step);
    }
    case 'output':
      return { progress: { ...progress, output: withOutput(progress, event.text) }, lines: [] };
    case 'step-done':
      return stepDone(progress, event);
    case 'warning':
      return { progress, lines: [{ kind: 'warning', text: `warning: ${cleanText(event.text)}` }] };
    case 'push': {
      const title = `pushing ${event.layers} layers, ${formatBytes(event.bytes)}`;
      return busy(progress, title, event.timeMs, []);
    }
    case 'pushed':
      return idle(progress, `pushed ${cleanLine(event.repository)}`, event.durationMs);
    case 'starting':
      return busy(progress, `starting on ${cleanLine(event.node)}`, event.timeMs, []);
    case 'ready':
      return idle(progress, 'answers', event.startMs);
    case 'unchanged':
      return { progress: PROGRESS_START, lines: [] };
    case 'failed':
      return failed(progress);
  }
}

function imageTitle(
  event: Extract<DeployEvent, { type: 'image' | 'image-done' }>,
  pull: string,
): string {
  const verb = event.action === 'make' ? 'base image' : pull;
  return `${verb} ${cleanLine(event.reference)}`;
}

function busy(
  progress: Progress,
  title: string,
  sinceMs: number,
  lines: Line[],
  step = 0,
): Advance {
  return { progress: { ...progress, current: { title, sinceMs, step }, output: [] }, lines };
}

function idle(progress: Progress, text: string, durationMs: number): Advance {
  return {
    progress: { ...progress, current: undefined, output: [] },
    lines: [{ kind: 'done', text: `${text} ${formatDuration(durationMs)}` }],
  };
}

function stepDone(progress: Progress, event: Extract<DeployEvent, { type: 'step-done' }>): Advance {
  const title = progress.current?.title ?? `step ${event.step}`;
  const line: Line = event.cached
    ? { kind: 'cached', text: `${title} cached` }
    : { kind: 'done', text: `${title} ${formatDuration(event.durationMs)}` };
  return { progress: { ...progress, current: undefined, output: [] }, lines: [line] };
}

function failed(progress: Progress): Advance {
  const title = progress.current?.title ?? WAITING;
  const lines: Line[] = title === WAITING ? [] : [{ kind: 'failed', text: title }];
  return { progress: { ...progress, current: undefined, output: [] }, lines };
}

/** A program that draws its own progress with carriage returns shows as its newest state. */
function withOutput(progress: Progress, text: string): string[] {
  const fresh = text
    .split('\n')
    .map((line) => cleanLine(line.slice(line.lastIndexOf('\r', line.length - 2) + 1)))
    .filter((line) => line.trim() !== '');
  return [...progress.output, ...fresh].slice(-OUTPUT_LINES_KEPT);
}

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const SPIN_MS = 100;

export interface Screen {
  nowMs: number;
  columns: number;
}

/** The lines that are drawn again and again while something goes on, each within the columns. */
export function liveLines(progress: Progress, screen: Screen): string[] {
  const { current } = progress;
  if (current === undefined) return [];
  const spin = SPINNER[Math.floor(screen.nowMs / SPIN_MS) % SPINNER.length] ?? '';
  const seconds = `${(Math.max(0, screen.nowMs - current.sinceMs) / 1000).toFixed(1)}s`;
  const room = screen.columns - seconds.length - 4;
  return [
    `${spin} ${fitColumns(current.title, Math.max(8, room))} ${seconds}`,
    ...progress.output.map((line) => `  ${fitColumns(line, Math.max(8, screen.columns - 3))}`),
  ];
}

const MARKS: Readonly<Record<Line['kind'], string>> = {
  done: '✔ ',
  cached: '✔ ',
  failed: '✘ ',
  warning: '',
  plain: '',
};

/** A finished line as it is written. */
export function showLine(line: Line): string {
  return MARKS[line.kind] + line.text;
}

const BEGINS: ReadonlySet<DeployEvent['type']> = new Set(['image', 'step', 'push', 'starting']);

/** What a pipe or a log file gets for one event: whole lines, output of programs included. */
export function plainLines(advanced: Advance, event: DeployEvent): string[] {
  if (event.type === 'output') {
    return event.text
      .split('\n')
      .map(cleanLine)
      .filter((line) => line !== '')
      .map((line) => `  ${line}`);
  }
  if (BEGINS.has(event.type)) {
    return [advanced.progress.current?.title ?? ''];
  }
  return advanced.lines.map(showLine);
}
