import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Names of the unix sockets that these processes hold, of those made in the network of `network`, a
 * process: a path, `@…` for an abstract one.
 */
export function unixSocketNames(pids: readonly string[], network: number | 'self'): string[] {
  const held = new Set(pids.flatMap(socketInodes));
  return readFileSync(`/proc/${network}/net/unix`, 'utf8')
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, , , , , , inode = '', name] = line.trim().split(/\s+/);
      return name !== undefined && held.has(inode) ? [name] : [];
    });
}

function socketInodes(pid: string): string[] {
  try {
    const names = readdirSync(`/proc/${pid}/fd`);
    const links = names.map((name) => readlinkSync(`/proc/${pid}/fd/${name}`));
    return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
  } catch {
    // It ended, or closed one, while it was looked at
    return [];
  }
}
