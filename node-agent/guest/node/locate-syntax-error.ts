import { fileURLToPath } from 'node:url';

const FILES_MAX = 16;
const CHECK_MS_MAX = 2_000;

/**
 * Puts the place above the stack of a syntax error, as Node prints it but keeps to itself for ES
 * modules: `node --check` says it for the first of the loaded files that has the error.
 */
export function locateSyntaxError(error: unknown, urls: Iterable<string>): void {
  if (!(error instanceof SyntaxError) || !error.stack?.startsWith('SyntaxError: ')) return;
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  // The faulty module is among the last that were resolved.
  for (const url of [...urls].slice(-FILES_MAX).reverse()) {
    const check = spawnSync(process.execPath, ['--check', fileURLToPath(url)], {
      encoding: 'utf8',
      timeout: CHECK_MS_MAX,
      maxBuffer: 64 * 1024,
    });
    const end = check.stderr?.indexOf('\nSyntaxError: ') ?? -1;
    if (check.status === 0 || end < 0 || !check.stderr.includes(error.message)) continue;
    error.stack = `${check.stderr.slice(0, end).trimEnd()}\n\n${error.stack}`;
    return;
  }
}
