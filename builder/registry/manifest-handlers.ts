import { type Digest, sha256 } from '../../lib/digest.ts';
import { type ImageIndex, MEDIA_TYPES } from '../../lib/oci/types.ts';
import { pageOf } from './content-range.ts';
import type { Call, RegistryContext } from './context.ts';
import { type ManifestFacts, readManifest } from './manifest.ts';
import { RegistryProblem } from './problem.ts';
import { type ManifestEntry, tagOf, withManifest, withoutManifest } from './repositories.ts';

type Reference = { tag: string } | { digest: Digest };
interface ManifestRoute {
  repository: string;
  reference: Reference;
}

/** HEAD, GET, PUT and DELETE of a manifest (distribution spec end-3, end-7, end-9). */
export async function handleManifest(
  context: RegistryContext,
  call: Call,
  route: ManifestRoute,
): Promise<unknown> {
  switch (call.request.method) {
    case 'GET':
    case 'HEAD':
      return send(context, call, route);
    case 'PUT':
      return put(context, call, route);
    case 'DELETE': {
      await find(context, route);
      await context.repositories.change(route.repository, (entries) =>
        withoutManifest(entries, route.reference),
      );
      return call.reply.code(202).send();
    }
    default:
      throw new RegistryProblem('UNSUPPORTED', `${call.request.method} is not supported here`);
  }
}

async function find(context: RegistryContext, route: ManifestRoute): Promise<ManifestEntry> {
  const entries = await context.repositories.manifests(route.repository);
  if (entries === undefined) throw unknownName(route.repository);
  const { reference } = route;
  const entry = entries.find((candidate) =>
    'tag' in reference ? tagOf(candidate) === reference.tag : candidate.digest === reference.digest,
  );
  if (entry !== undefined) return entry;
  throw new RegistryProblem('MANIFEST_UNKNOWN', 'manifest unknown', { detail: { ...reference } });
}

async function send(context: RegistryContext, call: Call, route: ManifestRoute): Promise<unknown> {
  const { mediaType, digest, size } = await find(context, route);
  call.reply
    .type(mediaType)
    .header('content-length', size)
    .header('docker-content-digest', digest)
    .header('etag', `"${digest}"`);
  if (call.request.method === 'HEAD') return call.reply.send();
  return call.reply.send(context.blobs.read(digest));
}

async function put(context: RegistryContext, call: Call, route: ManifestRoute): Promise<unknown> {
  const { repository, reference } = route;
  const bytes = await readBody(call, context.manifestBytesMax);
  const digest = sha256(bytes);
  if ('digest' in reference && reference.digest !== digest) {
    throw new RegistryProblem('DIGEST_INVALID', `digest does not match: content has ${digest}`);
  }
  const facts = readManifest(bytes, call.request.headers['content-type'] ?? '');
  await requireBlobs(context, repository, facts);
  await store(context, repository, bytes, digest);
  const { blobs: _blobs, ...described } = facts;
  const entry: ManifestEntry = { ...described, digest, size: bytes.length };
  const tag = 'tag' in reference ? reference.tag : undefined;
  await context.repositories.change(repository, (entries) => withManifest(entries, entry, tag));
  if (facts.subject !== undefined) call.reply.header('oci-subject', facts.subject);
  return call.reply
    .code(201)
    .header('location', `/v2/${repository}/manifests/${digest}`)
    .header('docker-content-digest', digest)
    .send();
}

async function readBody(call: Call, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of call.request.raw as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) {
      throw new RegistryProblem('SIZE_INVALID', `the manifest is larger than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function requireBlobs(
  context: RegistryContext,
  repository: string,
  facts: ManifestFacts,
): Promise<void> {
  for (const digest of new Set(facts.blobs)) {
    if (await context.repositories.hasBlob(repository, digest)) continue;
    throw new RegistryProblem('MANIFEST_BLOB_UNKNOWN', 'the manifest names an unknown blob', {
      detail: { digest },
    });
  }
}

/** A manifest's bytes are a blob of the layout; the index names it. */
async function store(
  context: RegistryContext,
  repository: string,
  bytes: Buffer,
  digest: Digest,
): Promise<void> {
  const id = await context.uploads.start(repository);
  await context.uploads.write(repository, id, oneChunk(bytes));
  await context.uploads.finish(repository, id, digest);
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Tags of a repository in lexical order, in pages (end-8). */
export async function handleTags(
  context: RegistryContext,
  call: Call,
  route: { repository: string },
): Promise<unknown> {
  const entries = await context.repositories.manifests(route.repository);
  if (entries === undefined) throw unknownName(route.repository);
  const tags = entries.map(tagOf).filter((tag) => tag !== undefined);
  const names = page(call, tags.sort(), `/v2/${route.repository}/tags/list`);
  return call.reply.send({ name: route.repository, tags: names });
}

/** Names of all repositories, in pages. */
export async function handleCatalog(context: RegistryContext, call: Call): Promise<unknown> {
  const names = page(call, await context.repositories.names(), '/v2/_catalog');
  return call.reply.send({ repositories: names });
}

function page(call: Call, all: readonly string[], path: string): string[] {
  const { n, last } = call.query;
  const limit = n !== undefined && /^\d{1,9}$/.test(n) ? Number(n) : undefined;
  const { names, more } = pageOf(all, { last, limit });
  if (more) {
    const next = new URLSearchParams({ n: String(limit), last: names.at(-1) ?? '' });
    call.reply.header('link', `<${path}?${next}>; rel="next"`);
  }
  return names;
}

/** Manifests about another one, as an index; empty when there are none (end-12). */
export async function handleReferrers(
  context: RegistryContext,
  call: Call,
  route: { repository: string; digest: Digest },
): Promise<unknown> {
  const { artifactType } = call.query;
  const entries = (await context.repositories.manifests(route.repository)) ?? [];
  const about = new Map(
    entries.filter((entry) => entry.subject === route.digest).map((entry) => [entry.digest, entry]),
  );
  const wanted = [...about.values()].filter(
    (entry) => artifactType === undefined || entry.artifactType === artifactType,
  );
  const manifests = wanted.map(referrerOf);
  if (artifactType !== undefined) call.reply.header('oci-filters-applied', 'artifactType');
  const index: ImageIndex = { schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests };
  // Bytes, as the framework would add a charset to the type of a text.
  return call.reply.type(MEDIA_TYPES.index).send(Buffer.from(JSON.stringify(index)));
}

/** Its own annotations take the place of the tag. */
function referrerOf(entry: ManifestEntry): ManifestEntry {
  const { subject: _subject, subjectAnnotations, annotations: _tag, ...rest } = entry;
  return subjectAnnotations === undefined ? rest : { ...rest, annotations: subjectAnnotations };
}

function unknownName(repository: string): RegistryProblem {
  return new RegistryProblem('NAME_UNKNOWN', 'repository name not known to registry', {
    detail: { name: repository },
  });
}
