import { readFileSync, writeFileSync } from 'node:fs';

/** Text of a file of the kernel; undefined when it is missing or went meanwhile. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Writes a file of the kernel; false when it is missing, went meanwhile, or refuses. */
export function writeIfThere(path: string, text: string): boolean {
  try {
    writeFileSync(path, text);
    return true;
  } catch {
    return false;
  }
}
