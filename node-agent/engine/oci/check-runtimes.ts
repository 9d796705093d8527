import type { Check } from '../doctor/doctor-check.ts';
import type { EngineOptions } from '../engine-types.ts';
import { runProgram } from '../kernel/run-program.ts';

const FOUND_LENGTH_MAX = 80;

/** Whether the other OCI runtimes that are configured can be run: each says its version. */
export async function checkRuntimes(
  runtimes: NonNullable<EngineOptions['runtimes']>,
): Promise<Check[]> {
  const entries = Object.entries(runtimes);
  if (entries.length === 0) {
    const meaning = 'functions have the engine’s own isolation; runc and others can be added';
    return [{ name: 'OCI runtimes', ok: 'pass', found: 'none', meaning }];
  }
  return Promise.all(
    entries.map(async ([name, { path }]) => {
      const meaning = `functions may ask for "runtime: ${name}"; install it or take it out of runtimes`;
      try {
        const version = (await runProgram(path, ['--version'])).split('\n', 1)[0] ?? '';
        const found = `${path}: ${version.slice(0, FOUND_LENGTH_MAX)}`;
        return { name: `OCI runtime ${name}`, ok: 'pass', found, meaning } as const;
      } catch (error) {
        const found = (error as Error).message.split('\n', 1)[0] ?? '';
        return { name: `OCI runtime ${name}`, ok: 'warn', found, meaning } as const;
      }
    }),
  );
}
