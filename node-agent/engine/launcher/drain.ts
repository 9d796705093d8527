import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Syscalls } from '../kernel/syscall-types.ts';

/** Its memory does not depend on how much containers say. */
const HEAP_MIB = 32;

/**
 * The engine is gone. Containers live on and are adopted by the next one; until then this process
 * reads what they say, as another program with an event loop. Without a container it ends.
 */
export function drainOrEnd(sys: Syscalls, controlFd: number): never {
  const [engine = '', containersDir = '', lockPath = ''] = process.argv.slice(2);
  if (!hasContainers(containersDir)) return sys.exit(0);
  sys.close(controlFd);
  const program = fileURLToPath(new URL('./drainer-main.js', import.meta.url));
  const flags = ['--single-threaded', `--max-old-space-size=${HEAP_MIB}`];
  return sys.execve(
    process.execPath,
    [process.execPath, ...flags, program, engine, containersDir, lockPath],
    ['HOME=/', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
  );
}

function hasContainers(containersDir: string): boolean {
  try {
    return readdirSync(containersDir).length > 0;
  } catch {
    return false;
  }
}
