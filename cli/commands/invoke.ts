import { createReadStream, openSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import {
  ERROR_CODES,
  type ErrorBody,
  type ErrorCode,
  errnoCode,
  HearthError,
} from '../../lib/errors.ts';
import { parseFunctionName } from '../../lib/names.ts';
import { cleanLine } from '../clean-text.ts';
import { serverUrl } from '../connection.ts';
import { usageError } from '../errors.ts';
import { ApiClient } from '../http.ts';
import { abortOnInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';

export interface InvokeFlags {
  data?: string;
  method?: string;
  header?: string[];
  path?: string;
  include?: boolean;
}

/** Present on an answer that the platform gave in place of the function (see the HTTP API). */
const ERROR_TYPE = 'x-hearth-error-type';
const ERROR_BODY_MAX = 64 * 1024;

/**
 * `hearth invoke NAME`: one request, its body streamed both ways. Resolves with the exit code: 7
 * when the platform or the function (status 500 and above) failed. Functions need no token, and
 * ours must not be shown to them.
 */
export async function invoke(context: Context, name: string, flags: InvokeFlags): Promise<number> {
  const path = `/function/${parseFunctionName(name)}${restPath(flags.path)}`;
  const headers = parseHeaders(flags.header ?? []);
  const body = openBody(flags.data);
  const { signal, forget } = abortOnInterrupt();
  try {
    const startedAtMs = performance.now();
    const api = new ApiClient({ baseUrl: serverUrl(context), token: undefined });
    const answer = await api.raw(path, {
      method: flags.method?.toUpperCase() ?? (body === undefined ? 'GET' : 'POST'),
      headers: body === undefined ? headers : { 'content-type': body.type, ...headers },
      ...(body === undefined ? {} : { body: body.stream }),
      signal,
    });
    const failure = await platformError(answer);
    if (failure !== undefined) throw failure;
    if (context.json) await printJson(context, answer, startedAtMs);
    else await print(context, answer, flags.include === true);
    return (answer.statusCode ?? 0) >= 500 ? FUNCTION_FAILED_EXIT : 0;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    forget();
    body?.stream.destroy();
  }
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';
const BYTES = 'application/octet-stream';
const FUNCTION_FAILED_EXIT = 7;

function restPath(path: string | undefined): string {
  if (path === undefined) return '';
  const rest = path.startsWith('/') || path.startsWith('?') ? path : `/${path}`;
  if (!/[\p{Cc}\s#]/u.test(rest)) return rest;
  throw usageError(
    `--path must be a path and query without spaces: current value is ${JSON.stringify(path)}`,
    'write a space as %20',
  );
}

interface Body {
  stream: Readable;
  type: string;
}

/** `-` reads stdin, `@file` a file, anything else is the body itself. */
function openBody(data: string | undefined): Body | undefined {
  if (data === undefined) return undefined;
  if (data === '-') return { stream: process.stdin, type: BYTES };
  if (data.startsWith('@')) return { stream: openFile(data.slice(1)), type: BYTES };
  return { stream: Readable.from([Buffer.from(data)]), type: isJson(data) ? JSON_TYPE : TEXT };
}

function openFile(path: string): Readable {
  try {
    return createReadStream(path, { fd: openSync(path, 'r') });
  } catch (cause) {
    const why = errnoCode(cause) === 'ENOENT' ? 'no such file' : (cause as Error).message;
    throw new HearthError('UsageInvalid', `cannot read the file of --data "${path}": ${why}`, {
      cause,
    });
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function parseHeaders(words: readonly string[]): Record<string, string[]> {
  const headers: Record<string, string[]> = {};
  for (const word of words) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*([^\r\n\0]*)$/.exec(word);
    const [, name = '', value = ''] = match ?? [];
    if (name === '') {
      throw usageError(`--header must be "Name: value": current value is ${JSON.stringify(word)}`);
    }
    const key = name.toLowerCase();
    headers[key] = [...(headers[key] ?? []), value.trim()];
  }
  return headers;
}

/** The platform's own error; undefined when the function itself answered, whatever its status. */
async function platformError(answer: IncomingMessage): Promise<HearthError | undefined> {
  const type = answer.headers[ERROR_TYPE];
  if (type === undefined) return undefined;
  const tooLong = Number(answer.headers['content-length'] ?? 0) > ERROR_BODY_MAX;
  const body = tooLong ? '' : await text(answer);
  try {
    const { error } = JSON.parse(body) as { error: ErrorBody };
    return HearthError.fromBody(error);
  } catch {
    const code = Object.hasOwn(ERROR_CODES, String(type)) ? (type as ErrorCode) : 'Internal';
    return new HearthError(code, `the platform answered ${answer.statusCode}: ${String(type)}`);
  }
}

async function print(context: Context, answer: IncomingMessage, include: boolean): Promise<void> {
  if (include) {
    const lines = [`HTTP/${answer.httpVersion} ${answer.statusCode} ${answer.statusMessage ?? ''}`];
    for (let n = 0; n < answer.rawHeaders.length; n += 2) {
      lines.push(`${answer.rawHeaders[n]}: ${answer.rawHeaders[n + 1]}`);
    }
    context.terminal.out(`${lines.map(cleanLine).join('\n')}\n\n`);
  } else if ((answer.statusCode ?? 0) >= 400) {
    context.terminal.err(`the function answered ${answer.statusCode}\n`);
  }
  try {
    await pipeline(answer, withLastNewline, process.stdout, { end: false });
  } catch (cause) {
    throw new HearthError('ResponseInvalid', 'the answer broke off before its end', { cause });
  }
}

/** On a terminal the prompt begins on a line of its own; a pipe gets the bytes as they are. */
async function* withLastNewline(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let last: number | undefined;
  for await (const chunk of chunks) {
    yield chunk;
    last = chunk.at(-1) ?? last;
  }
  const newline = 0x0a;
  if (process.stdout.isTTY && last !== newline) yield Buffer.of(newline);
}

async function printJson(
  context: Context,
  answer: IncomingMessage,
  startedAtMs: number,
): Promise<void> {
  const body = await text(answer);
  const durationMs = Math.round((performance.now() - startedAtMs) * 10) / 10;
  const { statusCode: status, headers } = answer;
  context.terminal.out(`${JSON.stringify({ status, headers, body, durationMs })}\n`);
}
