import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Where a command writes: results to `out`, all else to `err`. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether stderr is a terminal, where progress may be redrawn. */
  isLive: boolean;
  readonly columns: number;
  /** Of results; a pipe takes any width. */
  readonly outColumns: number;
  /** Whether results may have colours. */
  paintsOut: boolean;
  style(style: Style, text: string): string;
}

export interface TerminalOptions {
  color: boolean;
  quiet: boolean;
}

/** Of a pipe, and of a terminal that does not tell its size. */
const COLUMNS_DEFAULT = 80;

/** The process' own streams. Colours only on a terminal, and never with NO_COLOR or --no-color. */
export function processTerminal(options: TerminalOptions): Terminal {
  const live = process.stderr.isTTY === true;
  const mayColor = options.color && !isSet(process.env.NO_COLOR) && process.env.TERM !== 'dumb';
  const colored = mayColor && live;
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void (options.quiet || process.stderr.write(text)),
    isLive: live && !options.quiet && process.env.TERM !== 'dumb',
    get columns() {
      return process.stderr.columns || COLUMNS_DEFAULT;
    },
    get outColumns() {
      return process.stdout.columns || Number.POSITIVE_INFINITY;
    },
    paintsOut: mayColor && process.stdout.isTTY === true,
    style: (style, text) => (colored ? styleText(style, text, { validateStream: false }) : text),
  };
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
