import { createHash, type Hash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Host settings that escapes of other engines have written. */
const SETTINGS = ['/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe'];

/** A folder of the host that an image knows the path of, with a secret in it. */
export class Sentinel {
  readonly folder: string;
  readonly secret = `secret-${process.pid}`;
  readonly #watched: readonly string[];
  readonly #before: string;

  /** `beside`: further host folders that nothing may change. */
  constructor(folder: string, beside: readonly string[] = []) {
    this.folder = folder;
    mkdirSync(join(folder, 'inner'), { recursive: true });
    writeFileSync(join(folder, 'file'), 'untouched');
    writeFileSync(join(folder, 'secret'), this.secret);
    this.#watched = [folder, '/etc', ...beside];
    this.#before = this.state();
  }

  /** One hash of all it watches: names, types, modes, owners, sizes, times, contents; and settings. */
  state(): string {
    const hash = createHash('sha256');
    for (const path of this.#watched) add(hash, path, path === '/etc');
    for (const path of SETTINGS) if (existsSync(path)) hash.update(readFileSync(path));
    // Names only: other programs come and go in it
    hash.update(readdirSync('/').join());
    return hash.digest('hex');
  }

  get isUntouched(): boolean {
    return this.state() === this.#before;
  }
}

function add(hash: Hash, path: string, withoutContents: boolean): void {
  const { mode, uid, gid, size, mtimeMs } = lstatSync(path);
  hash.update(JSON.stringify([path, mode, uid, gid, size, mtimeMs]));
  const type = mode & 0o170000;
  if (type === 0o120000) hash.update(readlinkSync(path));
  else if (type === 0o040000) {
    for (const name of readdirSync(path).sort()) add(hash, join(path, name), withoutContents);
  } else if (type === 0o100000 && !withoutContents) hash.update(readFileSync(path));
}
