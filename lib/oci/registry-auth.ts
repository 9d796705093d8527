/** One challenge of a `WWW-Authenticate` header (RFC 9110, section 11.6.1). */
export interface Challenge {
  scheme: 'basic' | 'bearer';
  parameters: Readonly<Record<string, string>>;
}

const PARAMETER = /([a-z_]{1,32})=(?:"((?:[^"\\]|\\.){0,2048})"|([^\s,"]{1,2048}))/gi;

/** The first challenge that is understood, Bearer before Basic; undefined: none. */
export function parseChallenge(header: string | string[] | undefined): Challenge | undefined {
  const texts = (Array.isArray(header) ? header : [header ?? '']).map((text) =>
    text.slice(0, 4096),
  );
  for (const scheme of ['bearer', 'basic'] as const) {
    const text = texts.find((candidate) => new RegExp(`^\\s*${scheme}\\b`, 'i').test(candidate));
    if (text === undefined) continue;
    const pairs = [...text.matchAll(PARAMETER)].map(
      ([, name = '', quoted, bare]) =>
        [name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''] as const,
    );
    return { scheme, parameters: Object.fromEntries(pairs) };
  }
  return undefined;
}

/**
 * URL of the token service with what is asked for (distribution docs, "Token Authentication");
 * undefined: the challenge has no realm that credentials may be sent to. A registry reached by TLS
 * may not send them into the clear.
 */
export function tokenUrl(
  challenge: Challenge,
  options: { registry: URL; scope?: string; account?: string },
): URL | undefined {
  const { realm, service } = challenge.parameters;
  if (realm === undefined || !URL.canParse(realm)) return undefined;
  const url = new URL(realm);
  const isSafe =
    url.protocol === 'https:' ||
    (url.protocol === 'http:' && options.registry.protocol === 'http:');
  if (!isSafe) return undefined;
  const scope = options.scope ?? challenge.parameters.scope;
  if (service !== undefined) url.searchParams.set('service', service);
  if (scope !== undefined) url.searchParams.set('scope', scope);
  if (options.account !== undefined) url.searchParams.set('account', options.account);
  return url;
}

/** A token service's answer; undefined: it holds no token. */
export function parseToken(
  body: unknown,
  nowMs: number,
): { token: string; expiresMs: number } | undefined {
  const { token, access_token, expires_in } = (body ?? {}) as Record<string, unknown>;
  const value = token ?? access_token;
  if (typeof value !== 'string' || value === '') return undefined;
  // Without a lifetime it is 60 seconds; a little is kept for the way and for slow clocks.
  const seconds = typeof expires_in === 'number' && expires_in > 0 ? expires_in : 60;
  return { token: value, expiresMs: nowMs + Math.max(1, seconds - 10) * 1000 };
}

/** Value of `Authorization` for a user and a password. */
export function basicAuthorization(credentials: { username: string; password: string }): string {
  const { username, password } = credentials;
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
