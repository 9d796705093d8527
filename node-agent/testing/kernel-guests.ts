import { existsSync } from 'node:fs';
import { hasRedis } from '../../lib/testing/redis.ts';
import type { StartInstanceRequest } from '../api/types.ts';
import { startRequest } from './agent-harness.ts';

/** Why this machine cannot run the tests with real containers; false when it can. */
export function kernelSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync('/bin/busybox')) return 'needs /bin/busybox (busybox-static)';
  return hasRedis() ? false : 'needs redis-server';
}

/** A Node guest on the inherited socket. */
export const NODE_GUEST = `
  const fs = require('node:fs');
  require('node:http')
    .createServer((q, r) => {
      if (q.url === '/exit') process.exit(7);
      if (q.url === '/eat') { const kept = []; for (;;) kept.push(Buffer.alloc(1e7, 1)); }
      r.end(JSON.stringify({ uid: process.getuid(), pid: process.pid, env: process.env.K_SERVICE }));
    })
    .listen({ fd: 3 }, () => {
      fs.writeSync(Number(process.env.HEARTH_STATUS_FD), '{"ready":true,"importMs":2}\\n');
    });`;

/** A start of `script` in one of the images of `rootImages`. */
export function requestOf(
  name: 'busybox' | 'node',
  script: string,
  overrides: Partial<StartInstanceRequest> = {},
): StartInstanceRequest {
  const digest: `sha256:${string}` = `sha256:${(name === 'node' ? 'a' : 'b').repeat(64)}`;
  const image = { repository: `functions/${name}`, digest };
  const contract = name === 'node' ? ('socket' as const) : ('port' as const);
  return startRequest(script, { image, contract, ...overrides });
}
