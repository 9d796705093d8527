import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode, HearthError } from '../lib/errors.ts';
import { usageError } from './errors.ts';
import { ApiClient } from './http.ts';
import type { Context } from './options.ts';

const FALLBACK_URL = 'http://127.0.0.1:8080';

/** A client of the gateway that the context means; nothing is sent yet. */
export function connect(context: Context): ApiClient {
  return new ApiClient({ baseUrl: serverUrl(context), token: findToken(context) });
}

/** `--server` or HEARTH_URL, else what `hearth up` wrote into the data root, else port 8080 here. */
export function serverUrl(context: Context): string {
  if (context.server !== undefined) return checkUrl(context.server);
  return localUrl(context.dataRoot) ?? FALLBACK_URL;
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href.replace(/\/$/, '');
  throw usageError(
    `--server must be an http:// or https:// URL: current value is "${text}"`,
    `such as ${FALLBACK_URL}`,
  );
}

function localUrl(dataRoot: string): string | undefined {
  try {
    const file = readFileSync(join(dataRoot, 'run', 'gateway.json'), 'utf8');
    const { url } = JSON.parse(file) as { url?: unknown };
    return typeof url === 'string' && URL.canParse(url) ? url : undefined;
  } catch {
    return undefined;
  }
}

/** `--token` or HEARTH_TOKEN, else the file of the data root; none is left for the server to refuse. */
function findToken(context: Context): string | undefined {
  if (context.token !== undefined) return context.token;
  const path = join(context.dataRoot, 'token');
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (errnoCode(error) !== 'EACCES') return undefined;
    throw new HearthError('Unauthorized', `token file ${path} cannot be read (permission denied)`, {
      hint: 'run as the user that runs hearth up, or set HEARTH_TOKEN',
    });
  }
}
