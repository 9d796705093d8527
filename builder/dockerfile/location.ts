import { type ErrorCode, HearthError } from '../../lib/errors.ts';

/** The text of a Dockerfile with the name that errors show. */
export interface Source {
  file: string;
  /** Without their line ends. */
  lines: readonly string[];
}

/** Both count from 1; columns count UTF-16 units. */
export interface Location {
  line: number;
  column: number;
}

export interface FaultOptions {
  hint?: string;
  /** Default: DockerfileInvalid. */
  code?: ErrorCode;
}

const SHOWN_MAX = 200;

/** `Dockerfile:3:1: what is wrong`, with the place and the source line in `details`. */
export function faultAt(
  source: Source,
  location: Location,
  { message, hint, code = 'DockerfileInvalid' }: FaultOptions & { message: string },
): HearthError {
  const { line, column } = location;
  const text = (source.lines[line - 1] ?? '').slice(0, SHOWN_MAX);
  return new HearthError(code, `${source.file}:${line}:${column}: ${message}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { file: source.file, line, column, source: text },
  });
}
