import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { HearthError } from '../../lib/errors.ts';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** What programs of this machine need to run. */
export interface SharedLibraries {
  /** Path of the dynamic loader, as programs name it: `/lib64/ld-linux-x86-64.so.2`. */
  loader: string | undefined;
  /** File name → path on the host. */
  libraries: Map<string, string>;
}

/**
 * The shared libraries of programs and libraries of the host, transitively: what its own loader
 * says (`ldd`, ld.so(8)). Only for files that this machine trusts anyway.
 */
export async function sharedLibraries(paths: readonly string[]): Promise<SharedLibraries> {
  if (paths.length === 0) return { loader: undefined, libraries: new Map() };
  let output: string;
  try {
    output = (await run('ldd', [...paths], { maxBuffer: OUTPUT_BYTES_MAX })).stdout;
  } catch (error) {
    // One static file among them makes ldd exit with 1; what it found for the others counts.
    const { stdout } = error as { stdout?: string };
    if (stdout === undefined || stdout === '') {
      throw new HearthError('Internal', `ldd failed: ${(error as Error).message.slice(0, 200)}`, {
        hint: 'install ldd (Debian: libc-bin)',
      });
    }
    output = stdout;
  }
  return parseLdd(output);
}

/** Lines of ldd: `name => path (address)`, and the loader as `path (address)`. */
export function parseLdd(output: string): SharedLibraries {
  const libraries = new Map<string, string>();
  let loader: string | undefined;
  for (const line of output.split('\n')) {
    const [, name = '', path] = /^\s+(\S+)(?: => (\/\S+))? \(0x[0-9a-f]+\)$/.exec(line) ?? [];
    if (path !== undefined) libraries.set(name, path);
    else if (name.startsWith('/')) loader = name;
  }
  return { loader, libraries };
}

/** The folder where the loader looks without being told: that of the C library. */
export function libraryFolder({ libraries }: SharedLibraries): string {
  const libc = libraries.get('libc.so.6');
  if (libc === undefined) {
    throw new HearthError('KernelUnsupported', 'base images need glibc, which is not here', {
      hint: 'use FROM with an image of a registry',
    });
  }
  return dirname(libc);
}
