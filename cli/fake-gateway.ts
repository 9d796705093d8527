import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import type { DeployEvent } from '../lib/deploy-events.ts';
import { sha256 } from '../lib/digest.ts';
import { type ErrorCode, HearthError } from '../lib/errors.ts';

/** For tests: answers as the gateway's API does, and records what it was asked. */
export interface FakeGateway {
  url: string;
  /** `PUT /v1/functions/hello` each. */
  requests: string[];
  /** Bodies of the PUTs. */
  deploys: unknown[];
  /** What the next build tells. */
  events: DeployEvent[];
  /** Keeps the stream of events open after the last. */
  hold: boolean;
  /** By `METHOD /path`: replaces the usual answer. */
  answers: Map<string, (request: IncomingMessage, answer: ServerResponse) => void>;
}

export const TOKEN = 'test-token';
export const READY: DeployEvent = {
  timeMs: 2,
  type: 'ready',
  revisionId: 'hello-00001',
  url: 'http://127.0.0.1:1/function/hello',
  durationMs: 10,
  startMs: 5,
};

export async function startFakeGateway(t: TestContext): Promise<FakeGateway> {
  const fake: FakeGateway = {
    url: '',
    requests: [],
    deploys: [],
    events: [READY],
    hold: false,
    answers: new Map(),
  };
  const server = createServer((request, answer) => void handle(fake, request, answer));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  fake.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  return fake;
}

export function sendError(answer: ServerResponse, code: ErrorCode, message: string): void {
  const error = new HearthError(code, message, { hint: `hint for ${code}` });
  answer.writeHead(error.status, { 'content-type': 'application/json' });
  answer.end(JSON.stringify({ error: error.toBody('request-1') }));
}

async function handle(
  fake: FakeGateway,
  request: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://x').pathname;
  const key = `${request.method} ${path}`;
  fake.requests.push(key);
  const isOpen = path.startsWith('/function/');
  if (!isOpen && request.headers.authorization !== `Bearer ${TOKEN}`) {
    sendError(answer, 'Unauthorized', 'the token is not valid here');
    return;
  }
  const special = fake.answers.get(key);
  if (special !== undefined) {
    special(request, answer);
    return;
  }
  const body = await buffer(request);
  usual(fake, { key, path, body }, answer);
}

interface Asked {
  key: string;
  path: string;
  body: Buffer;
}

function usual(fake: FakeGateway, { key, path, body }: Asked, answer: ServerResponse): void {
  if (key === 'POST /v1/uploads') {
    sendJson(answer, { digest: sha256(body), sizeBytes: body.length });
  } else if (key.startsWith('PUT /v1/functions/')) {
    fake.deploys.push(JSON.parse(body.toString()));
    sendJson(answer, { buildId: 'b-1', functionName: path.split('/')[3], generation: 1 });
  } else if (key === 'GET /v1/builds/b-1/events') {
    fake.events.forEach((event, n) => {
      answer.write(`${JSON.stringify({ id: String(n + 1), ...event })}\n\n`);
    });
    if (!fake.hold) answer.end();
  } else if (key === 'DELETE /v1/builds/b-1') {
    sendJson(answer, {});
  } else if (key === 'GET /v1/functions') {
    sendJson(answer, { functions: [] });
  } else if (path.startsWith('/v1/functions/')) {
    sendError(answer, 'FunctionNotFound', `function "${path.split('/')[3]}" does not exist`);
  } else {
    sendError(answer, 'NotFound', `no route ${key}`);
  }
}

export function sendJson(answer: ServerResponse, value: unknown): void {
  answer.writeHead(200, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(value));
}
