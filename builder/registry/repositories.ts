import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../lib/digest.ts';
import { errnoCode } from '../../lib/errors.ts';
import { type Descriptor, type ImageIndex, MEDIA_TYPES } from '../../lib/oci/types.ts';

/** Image layout v1.1: the annotation that holds a manifest's tag. */
const REF_NAME = 'org.opencontainers.image.ref.name';
const CACHED_MAX = 256;
const TOUCH_EVERY_MS = 3_600_000;

/** A manifest of a repository, as its index.json keeps it; one entry a tag, or one without. */
export interface ManifestEntry extends Descriptor {
  artifactType?: string;
  /** The manifest that this one is about, and its own annotations: for referrers. */
  subject?: Digest;
  subjectAnnotations?: Record<string, string>;
}

/**
 * What belongs to which repository: a folder each, named by the encoded name, that is a complete
 * OCI image layout (`oci-layout`, `index.json`, `blobs` → the shared blobs) with `links/`, an
 * empty file for each blob that may be read through this repository.
 */
export class Repositories {
  readonly #dir: string;
  readonly #cache = new Map<string, ManifestEntry[]>();
  readonly #writes = new Map<string, Promise<unknown>>();

  constructor(dir: string) {
    this.#dir = join(dir, 'repositories');
  }

  async init(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
  }

  async names(): Promise<string[]> {
    return (await readdir(this.#dir)).map((name) => decodeURIComponent(name)).sort();
  }

  async has(repository: string): Promise<boolean> {
    return isThere(this.#path(repository));
  }

  async hasBlob(repository: string, digest: Digest): Promise<boolean> {
    return isThere(this.#linkPath(repository, digest));
  }

  async linkBlob(repository: string, digest: Digest): Promise<void> {
    await this.#create(repository);
    await writeFile(this.#linkPath(repository, digest), '');
  }

  /** Marks a link as used now, if it is there; false: it is not. */
  async touchLink(repository: string, digest: Digest, nowMs: number): Promise<boolean> {
    const path = this.#linkPath(repository, digest);
    try {
      // Seldom is often enough: garbage is days old.
      const { mtimeMs } = await stat(path);
      if (nowMs - mtimeMs > TOUCH_EVERY_MS) await utimes(path, nowMs / 1000, nowMs / 1000);
      return true;
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** All links of a repository, with their last use. */
  async links(repository: string): Promise<{ digest: Digest; usedMs: number }[]> {
    const dir = join(this.#path(repository), 'links');
    const names = await readdir(dir);
    return Promise.all(
      names.map(async (name) => {
        const { mtimeMs } = await stat(join(dir, name));
        return { digest: `sha256:${name}` as const, usedMs: mtimeMs };
      }),
    );
  }

  /** False: there was no such link. */
  async unlinkBlob(repository: string, digest: Digest): Promise<boolean> {
    const had = await this.hasBlob(repository, digest);
    await rm(this.#linkPath(repository, digest), { force: true });
    return had;
  }

  /** All manifests of a repository; undefined: there is no such repository. */
  async manifests(repository: string): Promise<readonly ManifestEntry[] | undefined> {
    const cached = this.#cache.get(repository);
    if (cached !== undefined) return cached;
    let text: string;
    try {
      text = await readFile(join(this.#path(repository), 'index.json'), 'utf8');
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
      return (await this.has(repository)) ? [] : undefined;
    }
    const entries = (JSON.parse(text) as { manifests: ManifestEntry[] }).manifests;
    this.#remember(repository, entries);
    return entries;
  }

  /** Replaces the manifests of a repository by what `change` makes of them, one change at a time. */
  async change(
    repository: string,
    change: (entries: readonly ManifestEntry[]) => ManifestEntry[],
  ): Promise<void> {
    const before = this.#writes.get(repository) ?? Promise.resolve();
    const write = before
      .catch(() => {})
      .then(async () => {
        await this.#create(repository);
        const entries = change((await this.manifests(repository)) ?? []);
        await this.#write(repository, entries);
        this.#remember(repository, entries);
      });
    this.#writes.set(repository, write);
    try {
      await write;
    } finally {
      if (this.#writes.get(repository) === write) this.#writes.delete(repository);
    }
  }

  async #write(repository: string, manifests: ManifestEntry[]): Promise<void> {
    const index: ImageIndex = { schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests };
    const path = join(this.#path(repository), 'index.json');
    const file = await open(`${path}.new`, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(index));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
  }

  async #create(repository: string): Promise<void> {
    const path = this.#path(repository);
    if (await isThere(join(path, 'oci-layout'))) return;
    await mkdir(join(path, 'links'), { recursive: true, mode: 0o700 });
    await symlink('../../blobs', join(path, 'blobs')).catch((error: unknown) => {
      if (errnoCode(error) !== 'EEXIST') throw error;
    });
    await writeFile(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  }

  #remember(repository: string, entries: ManifestEntry[]): void {
    this.#cache.delete(repository);
    this.#cache.set(repository, entries);
    const oldest = this.#cache.keys().next().value;
    if (this.#cache.size > CACHED_MAX && oldest !== undefined) this.#cache.delete(oldest);
  }

  #path(repository: string): string {
    return join(this.#dir, encodeURIComponent(repository));
  }

  #linkPath(repository: string, digest: Digest): string {
    return join(this.#path(repository), 'links', digest.slice('sha256:'.length));
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The tag of an entry. */
export function tagOf(entry: ManifestEntry): string | undefined {
  return entry.annotations?.[REF_NAME];
}

/** `entries` with a manifest put, under a tag or without: a tag moves to its newest manifest. */
export function withManifest(
  entries: readonly ManifestEntry[],
  manifest: ManifestEntry,
  tag: string | undefined,
): ManifestEntry[] {
  const others = entries.filter(
    (entry) =>
      (tag === undefined || tagOf(entry) !== tag) &&
      !(entry.digest === manifest.digest && tagOf(entry) === undefined),
  );
  // A manifest that loses its last tag stays readable by its digest.
  const lost = entries.filter(
    (entry) =>
      !others.includes(entry) &&
      entry.digest !== manifest.digest &&
      !others.some((other) => other.digest === entry.digest),
  );
  const kept = [...others, ...lost.map(untagged)];
  if (tag === undefined) {
    const known = kept.some((entry) => entry.digest === manifest.digest);
    return known ? kept : [...kept, manifest];
  }
  return [...kept, { ...manifest, annotations: { [REF_NAME]: tag } }];
}

/** `entries` without a digest (and all its tags) or without one tag. */
export function withoutManifest(
  entries: readonly ManifestEntry[],
  reference: { tag: string } | { digest: Digest },
): ManifestEntry[] {
  if ('digest' in reference) return entries.filter((entry) => entry.digest !== reference.digest);
  const kept = entries.filter((entry) => tagOf(entry) !== reference.tag);
  const gone = entries.find((entry) => tagOf(entry) === reference.tag);
  const isLast = gone !== undefined && !kept.some((entry) => entry.digest === gone.digest);
  return isLast ? [...kept, untagged(gone)] : kept;
}

function untagged(entry: ManifestEntry): ManifestEntry {
  const { annotations: _tag, ...rest } = entry;
  return rest;
}
