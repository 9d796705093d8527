import { type Digest, isDigest } from '../../lib/digest.ts';
import { isRepository, isTag } from '../../lib/oci/reference.ts';
import { RegistryProblem } from './problem.ts';

/** What a path below `/v2/` names (distribution spec v1.1, "Endpoints"). */
export type RegistryRoute =
  | { kind: 'ping' }
  | { kind: 'catalog' }
  | { kind: 'blob'; repository: string; digest: Digest }
  | { kind: 'uploads'; repository: string }
  | { kind: 'upload'; repository: string; id: string }
  | { kind: 'manifest'; repository: string; reference: { tag: string } | { digest: Digest } }
  | { kind: 'tags'; repository: string }
  | { kind: 'referrers'; repository: string; digest: Digest };

const UPLOAD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Repositories are folders named by the encoded name: NAME_MAX is 255 bytes. */
const ENCODED_NAME_BYTES_MAX = 255;

/**
 * The route of a path such as `/v2/functions/hello/blobs/sha256:…`; undefined: there is no such
 * endpoint. Names end at the last word that is an endpoint's, as a name may hold slashes.
 * @throws RegistryProblem NAME_INVALID, DIGEST_INVALID, MANIFEST_INVALID, BLOB_UPLOAD_UNKNOWN
 */
export function parseRoute(path: string): RegistryRoute | undefined {
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  if (!path.startsWith('/v2/')) return undefined;
  const parts = path.slice('/v2/'.length).split('/');
  return parseUploads(parts) ?? parseReferenced(parts) ?? parseTags(parts);
}

function parseUploads(parts: string[]): RegistryRoute | undefined {
  if (parts.at(-3) !== 'blobs' || parts.at(-2) !== 'uploads') return undefined;
  const repository = repositoryOf(parts.slice(0, -3));
  const id = parts.at(-1) ?? '';
  if (id === '') return { kind: 'uploads', repository };
  if (UPLOAD_ID.test(id)) return { kind: 'upload', repository, id };
  throw new RegistryProblem('BLOB_UPLOAD_UNKNOWN', 'no such upload');
}

function parseReferenced(parts: string[]): RegistryRoute | undefined {
  const word = parts.at(-2);
  const last = decode(parts.at(-1) ?? '');
  if (word === 'manifests') {
    return { kind: 'manifest', repository: repositoryOf(parts.slice(0, -2)), reference: ref(last) };
  }
  if (word === 'blobs' && last === 'uploads') {
    return { kind: 'uploads', repository: repositoryOf(parts.slice(0, -2)) };
  }
  if (word !== 'blobs' && word !== 'referrers') return undefined;
  const repository = repositoryOf(parts.slice(0, -2));
  return { kind: word === 'blobs' ? 'blob' : 'referrers', repository, digest: digestOf(last) };
}

function parseTags(parts: string[]): RegistryRoute | undefined {
  if (parts.at(-2) !== 'tags' || parts.at(-1) !== 'list') return undefined;
  return { kind: 'tags', repository: repositoryOf(parts.slice(0, -2)) };
}

function repositoryOf(parts: string[]): string {
  const name = parts.join('/');
  if (isRepository(name) && encodeURIComponent(name).length <= ENCODED_NAME_BYTES_MAX) return name;
  throw new RegistryProblem('NAME_INVALID', 'invalid repository name', {
    detail: { name: name.slice(0, 300) },
  });
}

function ref(text: string): { tag: string } | { digest: Digest } {
  if (isDigest(text)) return { digest: text };
  if (isTag(text)) return { tag: text };
  if (text.includes(':')) return { digest: digestOf(text) };
  throw new RegistryProblem('MANIFEST_INVALID', 'invalid tag', {
    detail: { tag: text.slice(0, 300) },
  });
}

/** @throws RegistryProblem DIGEST_INVALID; sha256 is the one algorithm that is taken */
export function digestOf(text: string): Digest {
  if (isDigest(text)) return text;
  throw new RegistryProblem('DIGEST_INVALID', 'invalid digest: sha256: and 64 hex signs expected', {
    detail: { digest: text.slice(0, 300) },
  });
}

/** Clients encode the colon of a digest; anything else encoded stays and is refused by its check. */
function decode(text: string): string {
  return text.replace(/%3a/gi, ':');
}
