import { spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import type { ExecExit, ExecRequest } from '../../lib/container-api.ts';
import { HearthError } from '../../lib/errors.ts';
import { connect } from '../connection.ts';
import { usageError } from '../errors.ts';
import type { ApiClient } from '../http.ts';
import { abortOnInterrupt } from '../interrupts.ts';
import type { Context } from '../options.ts';
import { parsePairs } from '../pairs.ts';
import { ExecFrames } from './exec-frames.ts';
import { exitCodeOf } from './exit-code.ts';
import { containerPath, findContainer } from './find-container.ts';

export interface ExecFlags {
  interactive?: boolean;
  tty?: boolean;
  env?: string[];
  workdir?: string;
  user?: string;
  node?: string;
}

/**
 * `hearth exec NAME PROGRAM…`: runs a program in a container, or in an instance of a function.
 * Resolves with the program's exit code.
 */
export async function exec(
  context: Context,
  name: string,
  command: readonly string[],
  flags: ExecFlags,
): Promise<number> {
  const request = execRequest(command, flags);
  const api = connect(context);
  const container = await findContainer(api, name, flags.node);
  const { signal, forget } = abortOnInterrupt();
  const terminal = request.tty === undefined ? undefined : takeTerminal();
  const input = new PassThrough();
  // The body is empty without `-i`, yet a stream: its end says that no input comes
  if (request.stdin !== true) input.end();
  try {
    const answer = await api.call(containerPath(container.id, 'exec'), {
      method: 'POST',
      query: { node: container.node },
      headers: { 'hearth-exec': Buffer.from(JSON.stringify(request)).toString('base64url') },
      body: input,
      headersFirst: true,
      signal,
    });
    // Not before the program runs: a refusal would be lost among what is still being sent
    if (request.stdin === true) process.stdin.pipe(input);
    const execId = String(answer.headers['hearth-exec-id'] ?? '');
    terminal?.onResize((size) => resize(api, { execId, node: container.node, size }));
    const { code: exitCode, ...rest } = await copyOutput(answer);
    return exitCodeOf({ ...rest, ...(exitCode === undefined ? {} : { exitCode }) });
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    forget();
    terminal?.restore();
    input.destroy();
    process.stdin.destroy();
  }
}

function execRequest(command: readonly string[], flags: ExecFlags): ExecRequest {
  if (command.length === 0) throw usageError('no program was named', 'hearth exec NAME ls -la');
  if (flags.tty === true && process.stdin.isTTY !== true) {
    throw usageError('--tty needs a terminal as input', 'leave -t out in scripts and pipes');
  }
  const env = {
    ...(flags.tty === true && process.env.TERM !== undefined ? { TERM: process.env.TERM } : {}),
    ...parsePairs('--env', flags.env),
  };
  return {
    command: [...command],
    env,
    ...(flags.workdir === undefined ? {} : { workingDir: flags.workdir }),
    ...(flags.user === undefined ? {} : { user: flags.user }),
    ...(flags.interactive === true ? { stdin: true } : {}),
    ...(flags.tty === true ? { tty: terminalSize() } : {}),
  };
}

interface Size {
  rows: number;
  columns: number;
}

/** Of this terminal; a usual one where it has none, or says 0, as one does that no window shows. */
function terminalSize(): Size {
  return { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 };
}

interface TakenTerminal {
  onResize(listener: (size: Size) => void): void;
  restore(): void;
}

/** Keys go to the program one by one, Ctrl-C too; its terminal echoes them. */
function takeTerminal(): TakenTerminal {
  process.stdin.setRawMode(true);
  // Node's raw mode still makes each line feed a new line (ONLCR), where a full-screen program only goes down.
  // Without stty lines are only told twice to return; leaving raw mode sets this back, too
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  let listener: (() => void) | undefined;
  return {
    onResize: (listen) => {
      listener = () => listen(terminalSize());
      process.stdout.on('resize', listener);
    },
    restore: () => {
      process.stdin.setRawMode(false);
      if (listener !== undefined) process.stdout.off('resize', listener);
    },
  };
}

/** A size that could not be told is only a display that wraps early. */
function resize(api: ApiClient, to: { execId: string; node: string; size: Size }): void {
  const path = `/v1/execs/${encodeURIComponent(to.execId)}/resize`;
  api
    .json(path, { method: 'POST', query: { node: to.node }, body: to.size })
    .catch(() => undefined);
}

/** Output as it comes, until the frame that says how the program ended. */
async function copyOutput(answer: AsyncIterable<Buffer>): Promise<ExecExit> {
  const frames = new ExecFrames();
  for await (const chunk of answer) {
    for (const { kind, payload } of frames.push(chunk)) {
      if (kind === 'end') return JSON.parse(payload.toString()) as ExecExit;
      await write(kind === 'stdout' ? process.stdout : process.stderr, payload);
    }
  }
  throw new HearthError('ResponseInvalid', 'the connection ended before the program did', {
    hint: 'the container or its node may have ended; hearth ps -a shows',
  });
}

async function write(stream: NodeJS.WriteStream, payload: Buffer): Promise<void> {
  if (!stream.write(payload)) await new Promise<void>((resolve) => stream.once('drain', resolve));
}
