import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { text } from 'node:stream/consumers';

/** An answer over HTTP, read to its end. */
export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** From the call until the last byte of the answer. */
  ms: number;
}

/** What is sent; a GET by default, a POST with a body. */
export interface CallOptions {
  method?: string;
  body?: string;
  headers?: Record<string, string>;
  agent?: Agent;
}

/** One request as curl sends it: no redirects, no retries. */
export function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const { body, headers } = options;
  const method = options.method ?? (body === undefined ? 'GET' : 'POST');
  const beganMs = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method, agent: options.agent ?? false, ...(headers === undefined ? {} : { headers }) },
      (answer) => {
        text(answer).then((read) => {
          const ms = performance.now() - beganMs;
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: read, ms });
        }, reject);
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Calls at a steady rate until it is stopped. */
export interface Prober {
  /** Resolves once all calls have been answered. */
  stop(): Promise<{ calls: number; failures: string[]; bodies: string[] }>;
}

/** Starts `perSecond` GETs a second, whether or not earlier ones were answered. */
export function probe(url: string, perSecond: number): Prober {
  const agent = new Agent({ keepAlive: true });
  const failures: string[] = [];
  const bodies: string[] = [];
  const running = new Set<Promise<void>>();
  let calls = 0;
  const once = async (): Promise<void> => {
    calls++;
    try {
      const { status, body } = await call(url, { agent });
      bodies.push(body);
      if (status !== 200) failures.push(`${status} ${body}`);
    } catch (error) {
      failures.push(String(error));
    }
  };
  const timer = setInterval(() => {
    const one = once().finally(() => running.delete(one));
    running.add(one);
  }, 1000 / perSecond);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(running);
      agent.destroy();
      return { calls, failures, bodies };
    },
  };
}
