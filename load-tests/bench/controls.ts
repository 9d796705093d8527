import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { untilAnswered } from './call.ts';

const SERVER = `require('node:http')
  .createServer((q, r) => r.end('hello'))
  .listen(process.argv[1])`;

/** From nothing to the first answer of `node server.js` on the host, without any isolation. */
export async function spawnNodeMs(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'hearth-control-'));
  const socketPath = join(folder, 's');
  const beganMs = performance.now();
  const child = spawn(process.execPath, ['-e', SERVER, socketPath], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  try {
    return await untilAnswered(socketPath, beganMs);
  } finally {
    child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A server that answers at once, without a gateway before it. */
export async function startDirectServer(): Promise<{ url: string; server: Server }> {
  const server = createServer((_, response) => response.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
}
