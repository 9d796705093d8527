import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { packTar, type TarSource } from '../../../lib/archive/tar.ts';
import { type UnpackOptions, unpackLayer } from '../unpack.ts';

type Entry = Partial<TarSource> & { name: string; text?: string };

/** An entry of which a test says only what counts. */
export function entry({ text, ...rest }: Entry): TarSource {
  const body = Buffer.from(text ?? '');
  return {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeMs: 1_000_000,
    sizeBytes: rest.type === undefined || rest.type === 'file' ? body.length : 0,
    ...(rest.type === undefined || rest.type === 'file' ? { body } : {}),
    ...rest,
  };
}

export const dir = (name: string, rest: Partial<TarSource> = {}): TarSource =>
  entry({ name, type: 'directory', mode: 0o755, ...rest });
export const file = (name: string, text = name): TarSource => entry({ name, text });
export const symlink = (name: string, linkname: string): TarSource =>
  entry({ name, type: 'symlink', linkname, mode: 0o777 });
export const link = (name: string, linkname: string): TarSource =>
  entry({ name, type: 'link', linkname });

/** A folder to unpack into, beside a tree that must never change. */
export class Box {
  readonly top: string;
  readonly root: string;
  readonly #before: string;

  constructor() {
    this.top = mkdtempSync(join(tmpdir(), 'hearth-unpack-'));
    this.root = join(this.top, 'dest');
    for (const name of ['outside', 'dest-evil']) {
      mkdirSync(join(this.top, name));
      writeFileSync(join(this.top, name, 'secret'), 'untouched');
      chmodSync(join(this.top, name, 'secret'), 0o600);
    }
    symlinkSync('outside', join(this.top, 'link-outside'));
    this.#before = this.#sentinel();
  }

  async unpack(entries: Iterable<TarSource>, options: Partial<UnpackOptions> = {}) {
    return unpackLayer({ stream: packTar(entries), dir: this.root, ...options });
  }

  read(name: string): string {
    return readFileSync(join(this.root, name), 'utf8');
  }

  requireUntouched(): void {
    assert.equal(this.#sentinel(), this.#before);
  }

  remove(): void {
    rmSync(this.top, { recursive: true, force: true });
  }

  #sentinel(): string {
    return JSON.stringify(
      readdirSync(this.top)
        .filter((name) => name !== 'dest')
        .map((name) => listing(join(this.top, name))),
    );
  }
}

/** A box that goes with the test. */
export function box(t: TestContext): Box {
  const made = new Box();
  t.after(() => {
    made.remove();
  });
  return made;
}

/** Everything that counts of a tree, as lines. */
export function listing(path: string, name = ''): string[] {
  const stat = lstatSync(path);
  const rest = stat.isSymbolicLink()
    ? readlinkSync(path)
    : stat.isFile()
      ? readFileSync(path, 'utf8')
      : '';
  const line = `${name} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.nlink} ${rest}`;
  if (!stat.isDirectory()) return [line];
  const below = readdirSync(path).sort();
  return [line, ...below.flatMap((child) => listing(join(path, child), `${name}/${child}`))];
}

/** True, and the test is skipped, without root. */
export function needsRoot(t: TestContext): boolean {
  if (process.getuid?.() === 0) return false;
  t.skip('needs root');
  return true;
}
