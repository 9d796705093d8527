import { readFileSync } from 'node:fs';

/** One finding about this machine. */
export interface Check {
  name: string;
  ok: 'pass' | 'warn' | 'fail';
  /** What was found, as a value. */
  found: string;
  /** What it means for the user, and what to do if it is not well. */
  meaning: string;
}

/** One finding. */
export function check(name: string, ok: Check['ok'], found: string, meaning: string): Check {
  return { name, ok, found, meaning };
}

/** Text of a file; '' when it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
