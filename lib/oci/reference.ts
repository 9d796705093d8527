import { type Digest, isDigest } from '../digest.ts';
import { HearthError } from '../errors.ts';

/** A reference to an image; without `host` it is in the platform's own registry. */
export interface ImageReference {
  /** `host` or `host:port`, as written. */
  host?: string;
  /** `library/node` style path. */
  repository: string;
  /** Absent only when a digest is given. */
  tag?: string;
  digest?: Digest;
}

/** Distribution spec v1.1, "Pulling manifests": `<name>`. */
const REPOSITORY =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
/** Distribution spec v1.1: `<reference>` as a tag. */
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]{2,39}\])(?::\d{1,5})?$/;
const NAME_LENGTH_MAX = 255;
const TEXT_LENGTH_MAX = 255 + 128 + 80;

/** Whether `name` may be a repository of the distribution API. */
export function isRepository(name: string): boolean {
  // The length first: the pattern never sees more than it can match in linear time.
  return name.length <= NAME_LENGTH_MAX && REPOSITORY.test(name) && !name.endsWith('\n');
}

/** Whether `tag` may be a tag of the distribution API. */
export function isTag(tag: string): boolean {
  return TAG.test(tag) && !tag.endsWith('\n');
}

/**
 * Parses `name`, `name:tag`, `name@sha256:…`, `host:port/name:tag`. A first component with a dot,
 * a colon or the name `localhost` is a host. No tag and no digest means `latest`.
 * @throws HearthError BadRequest with the text given
 */
export function parseReference(text: string): ImageReference {
  if (text.length === 0 || text.length > TEXT_LENGTH_MAX) throw invalid(text, 'its length');
  const [named = '', digest, ...more] = text.split('@');
  if (more.length > 0) throw invalid(text, 'more than one "@"');
  if (digest !== undefined && !isDigest(digest)) throw invalid(text, `digest "${digest}"`);
  const { host, rest } = splitHost(named);
  if (host !== undefined && !HOST.test(host)) throw invalid(text, `host "${host}"`);
  const colon = rest.lastIndexOf(':');
  const repository = colon === -1 ? rest : rest.slice(0, colon);
  const tag = colon === -1 ? undefined : rest.slice(colon + 1);
  if (!isRepository(repository)) throw invalid(text, `name "${repository}"`);
  if (tag !== undefined && !isTag(tag)) throw invalid(text, `tag "${tag}"`);
  return {
    ...(host === undefined ? {} : { host }),
    repository,
    ...(tag === undefined && digest !== undefined ? {} : { tag: tag ?? 'latest' }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** The reference as it is written: the inverse of `parseReference`. */
export function formatReference(reference: ImageReference): string {
  const host = reference.host === undefined ? '' : `${reference.host}/`;
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${host}${reference.repository}${tag}${digest}`;
}

function splitHost(named: string): { host?: string; rest: string } {
  const slash = named.indexOf('/');
  if (slash === -1) return { rest: named };
  const first = named.slice(0, slash);
  const isHost = first === 'localhost' || /[.:]/.test(first);
  return isHost ? { host: first, rest: named.slice(slash + 1) } : { rest: named };
}

function invalid(text: string, what: string): HearthError {
  const shown = JSON.stringify(text.slice(0, 120));
  return new HearthError('BadRequest', `image reference ${shown} is not valid: ${what}`, {
    hint: 'write name:tag, name@sha256:… or host:port/name:tag; names are lower case',
  });
}
