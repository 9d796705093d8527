import type { IncomingMessage } from 'node:http';

const HOST = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~-]+)(:\d{1,5})?$/;

/**
 * The absolute URL that the caller asked for, from the forwarded headers, else Host. The path is
 * what the gateway left after the function's name; a path of `//x` stays a path.
 */
export function requestUrl(request: IncomingMessage): string {
  const { headers } = request;
  const proto = first(headers['x-forwarded-proto']) === 'https' ? 'https' : 'http';
  const host = [first(headers['x-forwarded-host']), headers.host].find(
    (name) => name !== undefined && HOST.test(name),
  );
  const target = request.url ?? '/';
  return `${proto}://${host ?? 'localhost'}${target.startsWith('/') ? target : pathOf(target)}`;
}

/** Path and query of an absolute-form target (RFC 9112, 3.2.2); `/` for `*`. */
function pathOf(target: string): string {
  const url = URL.parse(target);
  return url === null ? '/' : url.pathname + url.search;
}

/** First of a comma list, as a chain of proxies writes it. */
export function first(header: string | string[] | undefined): string | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  return text?.split(',', 1)[0]?.trim();
}
