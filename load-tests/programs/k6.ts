import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, findProgram } from './cache.ts';
import { run } from './run.ts';

const MODULE = 'go.k6.io/k6@v1.8.1';
const BUILD_MS_MAX = 20 * 60_000;

/**
 * The real open-source k6: from PATH or the cache, else built into it with go, which takes minutes the
 * first time; not with HEARTH_BUILD_K6=0.
 */
export async function obtainK6(): Promise<{ path: string } | { missing: string }> {
  const path = findProgram('k6');
  if (path !== undefined) return { path };
  if (process.env.HEARTH_BUILD_K6 === '0') return { missing: 'k6 on PATH; HEARTH_BUILD_K6 is 0' };
  if (findProgram('go') === undefined) {
    return { missing: `k6 on PATH, or a Go toolchain to build it: go install ${MODULE}` };
  }
  const bin = join(cacheFolder(), 'bin');
  mkdirSync(bin, { recursive: true });
  const env = { GOBIN: bin };
  const built = await run('go', ['install', MODULE], { env, timeoutMs: BUILD_MS_MAX });
  if (built.code !== 0) return { missing: `k6: go install ${MODULE}: ${built.stderr.slice(-300)}` };
  return { path: join(bin, 'k6') };
}
