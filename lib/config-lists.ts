import { existsSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { posix } from 'node:path';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/;
const RUNC = ['/usr/sbin/runc', '/usr/bin/runc'];

/** The entries of a comma list, without spaces around them. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** What is wrong with one folder of `bindPaths`, if anything. */
export function bindPathFault(path: string): string | undefined {
  const isPlain = path.startsWith('/') && path !== '/' && posix.normalize(path) === path;
  return isPlain ? undefined : 'must be plain absolute folders other than /';
}

/** What is wrong with one network of `allowedNetworks`, if anything. */
export function networkFault(text: string): string | undefined {
  const [address = '', prefix = '', ...more] = text.split('/');
  const isCidr = isIPv4(address) && /^\d{1,2}$/.test(prefix) && Number(prefix) <= 32;
  return isCidr && more.length === 0 ? undefined : 'must be networks such as 10.1.0.0/16';
}

/** What is wrong with one entry of `runtimes`, if anything. */
export function runtimeFault(entry: string): string | undefined {
  const { name, path } = parseRuntime(entry);
  const isPath = bindPathFault(path) === undefined;
  return NAME.test(name) && isPath ? undefined : 'must be NAME=PATH or NAME=PATH ARGUMENTS';
}

/** Other OCI runtimes by name: `runc=/usr/sbin/runc,runsc=/usr/local/bin/runsc --platform=kvm`. */
export function parseRuntimes(text: string): Record<string, { path: string; args: string[] }> {
  const entries = splitList(text).map((entry) => {
    const { name, path, args } = parseRuntime(entry);
    return [name, { path, args }] as const;
  });
  return Object.fromEntries(entries);
}

function parseRuntime(entry: string): { name: string; path: string; args: string[] } {
  const at = entry.indexOf('=');
  const [path = '', ...args] = entry.slice(at + 1).split(/\s+/);
  return { name: at === -1 ? '' : entry.slice(0, at), path, args };
}

/** runc where a distribution puts it; empty if it is not there. */
export function installedRuntimes(): string {
  const path = RUNC.find((candidate) => existsSync(candidate));
  return path === undefined ? '' : `runc=${path}`;
}

/** What is wrong with a user's number. */
export function uidFault(text: string): string | undefined {
  const uid = Number(text);
  const isUid = /^\d+$/.test(text) && uid < 0xffff_ffff;
  return isUid ? undefined : 'must be user ids such as 65523';
}
