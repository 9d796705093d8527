import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';

/**
 * Gives fd 3 as the agent does: a listening unix socket. Node cannot make one that nobody in this
 * process accepts on, Python can.
 */
const LISTEN_AND_EXEC = `
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.execvp(sys.argv[2], sys.argv[2:])
`;

export interface GuestAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  bytes: Buffer;
}

export interface CallOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  agent?: Agent;
}

/** A guest runner with the files of a function, serving on a unix socket of its own. */
export interface Guest {
  child: ChildProcess;
  socketPath: string;
  /** The line on the status pipe, parsed. */
  status: Promise<{ ready: boolean; importMs?: number; error?: Record<string, string> }>;
  exited: Promise<{ code: number | null; signal: string | null }>;
  stdout(): string;
  stderr(): string;
  call(path: string, options?: CallOptions): Promise<GuestAnswer>;
}

export interface GuestOptions {
  command: string[];
  files: Record<string, string>;
  env?: Record<string, string>;
}

/** A guest that has said it is ready. */
export async function readyGuest(t: TestContext, options: GuestOptions): Promise<Guest> {
  const guest = spawnGuest(t, options);
  const status = await guest.status;
  assert.equal(status.ready, true, JSON.stringify(status));
  assert.ok(Number(status.importMs) >= 0);
  return guest;
}

/** Starts `command` in a fresh folder with `files`; all of it ends with the test. */
export function spawnGuest(t: TestContext, options: GuestOptions): Guest {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-guest-'));
  const root = join(folder, 'app');
  for (const [name, content] of Object.entries(options.files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  mkdirSync(root, { recursive: true });
  const socketPath = join(folder, 'socket');
  const env = {
    PATH: process.env.PATH ?? '',
    LISTEN_FDS: '1',
    HEARTH_STATUS_FD: '4',
    PORT: '8080',
  };
  const child = spawn('python3', ['-c', LISTEN_AND_EXEC, socketPath, ...options.command], {
    cwd: root,
    env: { ...env, HEARTH_FUNCTION: 'fn', HEARTH_REVISION: 'fn-00001', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'pipe'],
  });
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
    // No python3: there is no process, and what a shell calls 127
    child.once('error', () => resolve({ code: 127, signal: null }));
  });
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  });
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  const status = text(child.stdio[4] as Readable).then((line) => {
    if (line === '') throw new Error(`no status line; stderr: ${err()}`);
    return JSON.parse(line) as Awaited<Guest['status']>;
  });
  status.catch(() => {});
  const call = (path: string, how: CallOptions = {}) => callOnce(socketPath, path, how);
  return { child, socketPath, status, exited, stdout: out, stderr: err, call };
}

function collect(stream: Readable | null): () => string {
  let all = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    all += chunk;
  });
  return () => all;
}

function callOnce(socketPath: string, path: string, how: CallOptions): Promise<GuestAnswer> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath,
      path,
      method: how.method ?? 'GET',
      headers: { host: 'fn.example', ...how.headers },
      agent: how.agent ?? false,
    });
    call.once('error', reject);
    call.once('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const bytes = Buffer.concat(chunks);
        const { statusCode, headers } = response;
        resolve({ status: statusCode ?? 0, headers, body: bytes.toString(), bytes });
      });
    });
    call.end(how.body);
  });
}
