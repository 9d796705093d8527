/**
 * Header fields on their way through, as flat lists of name and value in the order and the case
 * they came: duplicates stay duplicates.
 */

/** RFC 9110 7.6.1: what concerns one connection only; and what the gateway answers itself. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Set by the gateway towards the instance: a caller's own are dropped. */
const SET_ON_REQUEST: ReadonlySet<string> = new Set([
  'forwarded',
  'x-call-id',
  'x-deadline-ms',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-server',
  // Whom programs believe a caller's address from, though this gateway does not set it
  'x-real-ip',
  'x-start-time',
  // A CGI program would take it for the variable HTTP_PROXY: CVE-2016-5385
  'proxy',
]);

/**
 * Set by the gateway towards the caller, and what speaks for the whole origin, which all functions
 * share: a function's own are dropped.
 */
const SET_ON_RESPONSE: ReadonlySet<string> = new Set([
  'alt-svc',
  'clear-site-data',
  'public-key-pins',
  'service-worker-allowed',
  'strict-transport-security',
  'x-call-id',
  'x-cold-start',
  'x-hearth-error-type',
  'x-start-time',
]);

/** What `Connection` may not remove, as it frames or authorises the message. */
const KEPT: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-type',
  'cookie',
  'host',
]);

/** What the gateway tells an instance about a call. */
export interface CallFields {
  callId: string;
  /** Unix time in milliseconds. */
  startedAtMs: number;
  deadlineAtMs: number;
  /** The peer's address. */
  remoteAddress: string;
  /** The `Host` the caller named; empty: none. */
  host: string;
  proto: 'http' | 'https';
}

export function requestHeaders(raw: readonly string[], call: CallFields): string[] {
  const out = filterHeaders(raw, SET_ON_REQUEST);
  const peer = call.remoteAddress.replace(/^::ffff:/, '');
  out.push('X-Call-Id', call.callId);
  out.push('X-Start-Time', startTime(call.startedAtMs));
  out.push('X-Deadline-Ms', String(call.deadlineAtMs));
  out.push('X-Forwarded-For', peer, 'X-Forwarded-Proto', call.proto);
  if (call.host !== '') out.push('X-Forwarded-Host', call.host);
  out.push('Forwarded', forwarded(peer, call));
  return out;
}

/** The instance's fields as the caller gets them, without the gateway's own. */
export function responseHeaders(raw: readonly (Buffer | string)[]): string[] {
  const text = raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
  return filterHeaders(text, SET_ON_RESPONSE);
}

/** Unix time in nanoseconds, as OpenFaaS writes it. */
export function startTime(unixMs: number): string {
  return `${unixMs}000000`;
}

/** A caller's call id, if it is one to keep: visible ASCII, 128 signs at most. */
export function saneCallId(given: string | string[] | undefined): string | undefined {
  return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : undefined;
}

function filterHeaders(raw: readonly string[], own: ReadonlySet<string>): string[] {
  const named = namedByConnection(raw);
  const out: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    // Where names become variables, as in CGI and WSGI, `X_Call_Id` is `X-Call-Id`
    const key = name.toLowerCase().replaceAll('_', '-');
    if (HOP_BY_HOP.has(key) || own.has(key) || named?.has(key)) continue;
    out.push(name, raw[i + 1] as string);
  }
  return out;
}

function namedByConnection(raw: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (raw[i]?.length !== 10 || raw[i]?.toLowerCase() !== 'connection') continue;
    for (const word of (raw[i + 1] as string).split(',')) {
      const key = word.trim().toLowerCase();
      if (key === 'keep-alive' || key === 'close' || KEPT.has(key)) continue;
      named ??= new Set();
      named.add(key);
    }
  }
  return named;
}

/** RFC 7239; a host that is no plain authority is left out. */
function forwarded(peer: string, call: CallFields): string {
  const node = peer.includes(':') ? `"[${peer}]"` : peer;
  const host = /^[\w.:[\]-]{1,255}$/.test(call.host) ? `;host="${call.host}"` : '';
  return `for=${node}${host};proto=${call.proto}`;
}
