import { errnoCode, HearthError } from '../errors.ts';

/** Which registry, and whose, for the words of an error. */
export interface RegistryIdentity {
  /** `host:port`. */
  host: string;
  /** The platform's own: its failures are the platform's, not the user's. */
  isPlatform: boolean;
}

/** What is known of an answer that is not what was asked for. */
export interface FailedAnswer {
  status: number;
  /** What was asked, e.g. `functions/hello`. */
  subject: string;
  /** Start of the body. */
  text: string;
  retryAfterMs?: number | undefined;
}

const TLS_CODE =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.*|CERT_.*|ERR_TLS_.*|ERR_SSL_.*|EPROTO|HOSTNAME_MISMATCH)$/;

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'name service does not answer',
  ETIMEDOUT: 'timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connect timed out',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'no data in time',
  UND_ERR_SOCKET: 'connection closed',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'connection closed early',
};

/** Whether the same request may be sent again. */
export function isRetryableStatus(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** Whether a failed connection is worth another one: not with a wrong name or certificate. */
export function isRetryableError(error: unknown): boolean {
  if (error instanceof HearthError) return false;
  const code = causeCode(error);
  return code !== undefined && code in REASONS && code !== 'ENOTFOUND';
}

/** Milliseconds until the next try: as the server says, else doubling from 200 ms with jitter. */
export function retryDelayMs(
  attempt: number,
  retryAfterMs?: number,
  random = Math.random(),
): number {
  return retryAfterMs ?? Math.round(200 * 2 ** attempt * (0.75 + random / 2));
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). */
export function parseRetryAfterMs(
  header: string | string[] | undefined,
  nowMs: number,
): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text.trim())) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/** The error for an answer with a status of 400 or more. */
export function failureOfAnswer(registry: RegistryIdentity, answer: FailedAnswer): HearthError {
  const { host } = registry;
  const { status, subject } = answer;
  if (status === 401 || status === 403) {
    return new HearthError('RegistryAuth', `${status} from ${host} for ${subject}`, {
      hint: registry.isPlatform
        ? 'the token of this machine is not the one of the registry'
        : `give credentials for ${host}, or check the name: a private image and none look the same`,
    });
  }
  if (status === 429) {
    const seconds = Math.ceil((answer.retryAfterMs ?? 60_000) / 1000);
    return new HearthError(
      'RegistryRateLimited',
      `${host} limits requests: retry after ${seconds} s`,
    );
  }
  if (status === 413) {
    return new HearthError('PayloadTooLarge', `${host} takes no such large blob for ${subject}`);
  }
  const said = answer.text.slice(0, 200).replace(/\s+/g, ' ').trim();
  const message = `${host} answered ${status} for ${subject}${said === '' ? '' : `: ${said}`}`;
  if (status === 400 && answer.text.includes('DIGEST_INVALID')) {
    return new HearthError('ImageCorrupt', message, { details: { status } });
  }
  const code = registry.isPlatform && status >= 500 ? 'RegistryUnavailable' : 'RegistryError';
  return new HearthError(code, message, { details: { status } });
}

/** Whether a whole upload may be tried again after this error: not when it was refused. */
export function isWorthAnotherUpload(error: unknown): boolean {
  if (!(error instanceof HearthError) || !error.retryable) return false;
  const status = error.details?.status;
  return typeof status !== 'number' || isRetryableStatus(status);
}

/** The error for a connection that failed; a HearthError stays itself. */
export function failureOfError(registry: RegistryIdentity, error: unknown): HearthError {
  if (error instanceof HearthError) return error;
  const code = causeCode(error);
  const { host } = registry;
  if (code !== undefined && TLS_CODE.test(code)) {
    return new HearthError('RegistryTls', `${host}: TLS failed (${code})`, {
      hint: 'give the certificate authority of the registry, or use http for a registry without TLS',
      cause: error,
    });
  }
  const message = error instanceof Error ? error.message : String(error);
  const reason = (code === undefined ? undefined : REASONS[code]) ?? code ?? message;
  return new HearthError(
    registry.isPlatform ? 'RegistryUnavailable' : 'RegistryError',
    `cannot reach registry ${host} (${reason})`,
    { cause: error },
  );
}

function causeCode(error: unknown): string | undefined {
  const code = errnoCode(error);
  if (code !== undefined || !(error instanceof Error)) return code;
  return error.cause === undefined ? undefined : errnoCode(error.cause);
}
