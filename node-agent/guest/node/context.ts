import type { IncomingMessage, ServerResponse } from 'node:http';
import { CallLogger } from './logger.ts';

/** Who serves, from the environment; the same for all calls. */
export interface Identity {
  function: string;
  revision: string;
  instance: string;
  timeoutMs: number;
}

/** The identity as the platform set it; `local` when the guest was started by hand. */
export function readIdentity(env: NodeJS.ProcessEnv): Identity {
  const timeoutMs = Number(env.HEARTH_TIMEOUT_MS);
  return {
    function: env.HEARTH_FUNCTION ?? 'local',
    revision: env.HEARTH_REVISION ?? 'local',
    instance: env.HEARTH_INSTANCE ?? 'local',
    timeoutMs: timeoutMs > 0 ? timeoutMs : 30_000,
  };
}

const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * What a handler knows about its call. Everything that costs something is made when it is first
 * asked for.
 */
export class CallContext {
  readonly callId: string;
  /** When the caller stops waiting, in ms since 1970. */
  readonly deadlineMs: number;
  readonly #identity: Identity;
  readonly #response: ServerResponse;
  #signal: AbortSignal | undefined;
  #logger: CallLogger | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, identity: Identity) {
    this.callId = callIdOf(request);
    this.deadlineMs = deadlineOf(request, identity);
    this.#identity = identity;
    this.#response = response;
  }

  get function(): string {
    return this.#identity.function;
  }

  get revision(): string {
    return this.#identity.revision;
  }

  get instance(): string {
    return this.#identity.instance;
  }

  get deadline(): Date {
    return new Date(this.deadlineMs);
  }

  /** Milliseconds until the deadline, never below 0. */
  remainingMs(): number {
    return Math.max(0, this.deadlineMs - Date.now());
  }

  get logger(): CallLogger {
    const { callId } = this;
    this.#logger ??= new CallLogger({ callId, function: this.#identity.function });
    return this.#logger;
  }

  /** Aborts at the deadline (TimeoutError) or when the caller is gone (AbortError). */
  get signal(): AbortSignal {
    this.#signal ??= abortSignal(this.#response, this.remainingMs());
    return this.#signal;
  }
}

function abortSignal(response: ServerResponse, remainingMs: number): AbortSignal {
  const controller = new AbortController();
  const atDeadline = (): void => {
    controller.abort(new DOMException('the deadline of the call has passed', 'TimeoutError'));
  };
  const timer = setTimeout(atDeadline, Math.min(remainingMs, TIMER_MS_MAX));
  timer.unref();
  const ended = (): void => {
    clearTimeout(timer);
    if (response.writableFinished) return;
    controller.abort(new DOMException('the caller is gone', 'AbortError'));
  };
  if (response.destroyed) ended();
  else response.once('close', ended);
  return controller.signal;
}

function callIdOf(request: IncomingMessage): string {
  const header = request.headers['x-call-id'];
  if (typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header)) return header;
  return process.getBuiltinModule('node:crypto').randomUUID();
}

function deadlineOf(request: IncomingMessage, identity: Identity): number {
  const asked = Number(request.headers['x-deadline-ms']);
  return asked > 0 && asked < 8.64e15 ? asked : Date.now() + identity.timeoutMs;
}
