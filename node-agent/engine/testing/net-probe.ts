import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileStatic } from './compile.ts';

/** Puts `/bin/net-probe` and `/bin/first` into an image's layer; answers a path of the first on the host. */
export function addNetProbes(layer: string): string {
  const first = ['-nostdlib', '-nostartfiles', '-fno-stack-protector'];
  compileStatic(join(layer, 'bin/first'), sourceOf('first.c'), first);
  return compileStatic(join(layer, 'bin/net-probe'), sourceOf('net-probe.c'));
}

/** The argument of `/bin/first`. */
export function firstTarget(address: string, port: number): string {
  const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, '0');
  const bytes = address.split('.').map((part) => hex(Number(part), 2));
  return `${bytes.join('')}${hex(port, 4)}`;
}

function sourceOf(name: string): string {
  // From the compiled file's place to the source's
  const url = new URL(`../../../../node-agent/engine/testing/${name}`, import.meta.url);
  return readFileSync(url, 'utf8');
}
