import { HearthError } from '../../lib/errors.ts';
import { parseFunctionName } from '../../lib/names.ts';

export const FUNCTION_PREFIX = '/function/';

/** What an invocation's URL names. */
export interface Target {
  name: string;
  /** What the function is given: the rest of the path and the query, byte for byte. */
  path: string;
}

/**
 * Splits `/function/NAME/rest?query`. The name is the bytes up to the next `/` or `?`, decoded
 * once; the rest is never decoded, cleaned or joined, so it can name no other route.
 * @throws HearthError NameInvalid
 */
export function parseTarget(url: string): Target {
  const end = nameEnd(url);
  const raw = url.slice(FUNCTION_PREFIX.length, end);
  const name = parseFunctionName(raw.includes('%') ? decodeOnce(raw) : raw);
  const rest = url.slice(end);
  return { name, path: rest.startsWith('/') ? rest : `/${rest}` };
}

function nameEnd(url: string): number {
  const slash = url.indexOf('/', FUNCTION_PREFIX.length);
  const query = url.indexOf('?', FUNCTION_PREFIX.length);
  if (slash === -1) return query === -1 ? url.length : query;
  return query === -1 ? slash : Math.min(slash, query);
}

function decodeOnce(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    const shown = JSON.stringify(raw.slice(0, 80));
    throw new HearthError('NameInvalid', `function name ${shown} is not a valid percent-encoding`);
  }
}
