/** A socket in state LISTEN. */
export interface Listener {
  host: string;
  port: number;
}

const LISTEN = '0A';

/**
 * Listening sockets of `/proc/<pid>/net/tcp` or `tcp6` (proc(5)): the second column is
 * `ADDRESS:PORT` in hex, the address as 32-bit words in host byte order (little-endian on the
 * machines we run on), the fourth the state.
 */
export function parseListeners(procNetTcp: string): Listener[] {
  const listeners: Listener[] = [];
  for (const line of procNetTcp.split('\n')) {
    const [, local, , state] = line.trim().split(/\s+/);
    if (state !== LISTEN || local === undefined) continue;
    const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    listeners.push({ host: addressOf(match[1]), port: Number.parseInt(match[2], 16) });
  }
  return listeners;
}

function addressOf(hex: string): string {
  const words = (hex.match(/.{8}/g) ?? []).map((word) => Buffer.from(word, 'hex').reverse());
  const bytes = Buffer.concat(words);
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  if (bytes.subarray(0, 15).every((byte) => byte === 0) && bytes[15] === 1) return '::1';
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) !== 0;
  if (mapped) return bytes.subarray(12).join('.');
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
}

/** What to tell someone whose program was expected on 0.0.0.0:`port` and has `listeners` instead. */
export function readinessHint(listeners: readonly Listener[], port: number): string {
  const samePort = listeners.find((listener) => listener.port === port);
  if (samePort !== undefined) {
    return `process listens on ${shown(samePort)}; use host 0.0.0.0`;
  }
  const other = listeners[0];
  if (other === undefined) {
    return `process runs but listens nowhere; listen on host 0.0.0.0 and $PORT=${port}`;
  }
  return `process listens on ${shown(other)}; use host 0.0.0.0 and $PORT=${port}`;
}

function shown({ host, port }: Listener): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
