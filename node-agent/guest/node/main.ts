import type { RequestListener, Server } from 'node:http';
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Identity, readIdentity } from './context.ts';
import { findHandler } from './find-handler.ts';
import { errorText, HandlerInvalid } from './guest-error.ts';
import { captureListen } from './listen-capture.ts';
import { nodeListener } from './node-handler.ts';
import { RequestChoice } from './request-choice.ts';
import { createServer, drainOnSigterm, exitAtOnce, listen, tuneServer } from './serve.ts';
import { type Shape, shapeOf } from './shape.ts';
import { hasStatusPipe, sayFailed, sayReady } from './status-pipe.ts';
import { webListener } from './web-handler.ts';

/** First inherited descriptor (sd_listen_fds(3)). */
const LISTEN_FD = 3;

async function main(): Promise<void> {
  const hasSocket = process.env.LISTEN_FDS === '1';
  delete process.env.LISTEN_FDS;
  const capture = hasSocket ? captureListen(LISTEN_FD) : undefined;
  const choice = new RequestChoice();
  const startedMs = performance.now();
  const file = findHandler(process.cwd(), process.env.HEARTH_HANDLER);
  process.once('beforeExit', () => fail(neverServes(basename(file))));
  const module = await load(file, choice);
  const shape = shapeOf(module, basename(file));
  const importMs = performance.now() - startedMs;
  // A program that exports nothing may open its database first: wait until it listens.
  const own = capture?.taken() ?? (shape.kind === 'empty' ? await capture?.server : undefined);
  if (own !== undefined) {
    await served(own);
  } else if (shape.kind !== 'empty') {
    const port = Number(process.env.PORT ?? 8080);
    await serveShape(shape, choice, hasSocket ? { fd: LISTEN_FD } : { port });
    if (!hasStatusPipe()) process.stderr.write(`listening on http://127.0.0.1:${port}\n`);
  }
  sayReady(importMs);
}

/** @throws what the module's top level throws; a syntax error with its place */
async function load(file: string, choice: RequestChoice): Promise<object> {
  try {
    return (await import(pathToFileURL(file).href)) as object;
  } catch (error) {
    if (error instanceof SyntaxError) {
      const { locateSyntaxError } = await import('./locate-syntax-error.ts');
      locateSyntaxError(error, choice.urls);
    }
    throw error;
  }
}

type Callable = Exclude<Shape, { kind: 'empty' | 'invalid' }>;

async function serveShape(
  shape: Shape,
  choice: RequestChoice,
  at: { fd: number } | { port: number },
): Promise<void> {
  if (shape.kind === 'empty' || shape.kind === 'invalid') {
    throw new HandlerInvalid(shape.kind === 'invalid' ? shape.message : 'exports nothing');
  }
  if (shape.kind === 'node') await shape.prepare?.();
  const listener = await listenerFor(shape, readIdentity(process.env), choice);
  const server = createServer(listener);
  drainOnSigterm(server);
  await listen(server, at);
}

/** The Lambda form is loaded only for who uses it: its files are a tenth of the time to start. */
async function listenerFor(
  shape: Callable,
  identity: Identity,
  choice: RequestChoice,
): Promise<RequestListener> {
  if (shape.kind === 'node') return nodeListener(shape.handler, identity);
  if (shape.kind === 'web') {
    return webListener(shape.handler, identity, choice.maker(shape.framework));
  }
  const { lambdaListener } = await import('./lambda-handler.ts');
  return lambdaListener(shape.handler, identity);
}

/** Nothing is left that could make the program serve: the event loop is empty. */
function neverServes(file: string): HandlerInvalid {
  return new HandlerInvalid(
    `handler "${file}" exports nothing and listens nowhere, or its top level waits for ever; ` +
      'expected a default function (request, context)',
  );
}

async function served(server: Server): Promise<void> {
  tuneServer(server);
  drainOnSigterm(server);
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
}

/** Also for errors that no promise of ours carries: a timer of the handler, a stray rejection. */
function fail(error: unknown): void {
  sayFailed(error);
  process.stderr.write(`${errorText(error)}\n`);
  process.exit(1);
}

process.on('uncaughtException', fail);
process.on('SIGTERM', exitAtOnce);
main().catch(fail);
