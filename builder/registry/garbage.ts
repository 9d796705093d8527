import type { Digest } from '../../lib/digest.ts';
import type { RegistryContext } from './context.ts';
import { readManifest } from './manifest.ts';
import type { ManifestEntry } from './repositories.ts';

/** What was removed. */
export interface Collected {
  links: number;
  blobs: number;
}

/**
 * Removes blobs that no manifest names and that nobody has put or asked for since `usedBeforeMs`:
 * first their links in each repository, then the bytes that no repository links to.
 */
export async function collectGarbage(
  context: RegistryContext,
  options: { usedBeforeMs: number },
): Promise<Collected> {
  const live = new Set<Digest>();
  let links = 0;
  for (const repository of await context.repositories.names()) {
    const entries = (await context.repositories.manifests(repository)) ?? [];
    const named = await namedBlobs(context, entries);
    for (const { digest, usedMs } of await context.repositories.links(repository)) {
      if (named.has(digest) || usedMs >= options.usedBeforeMs) live.add(digest);
      else if (await context.repositories.unlinkBlob(repository, digest)) links++;
    }
    for (const { digest } of entries) live.add(digest);
  }
  const blobs = await context.blobs.removeOthers(live, options.usedBeforeMs);
  return { links, blobs };
}

async function namedBlobs(
  context: RegistryContext,
  entries: readonly ManifestEntry[],
): Promise<Set<Digest>> {
  const named = new Set<Digest>();
  for (const { digest, mediaType } of new Map(entries.map((e) => [e.digest, e])).values()) {
    const bytes = await context.blobs.readWhole(digest);
    if (bytes === undefined) continue;
    for (const blob of readManifest(bytes, mediaType).blobs) named.add(blob);
  }
  return named;
}
