import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Why C programs cannot be compiled here; undefined if they can. */
export function missingForCompile(): string | undefined {
  return existsSync('/usr/bin/gcc') ? undefined : 'needs gcc';
}

/** Compiles C into a static program at `path`, for images that hold nothing else. */
export function compileStatic(path: string, source: string, flags: readonly string[] = []): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.c`, source);
  execFileSync('gcc', ['-O1', '-static', ...flags, '-o', path, `${path}.c`]);
  return path;
}
