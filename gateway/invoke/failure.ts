import { errnoCode, HearthError } from '../../lib/errors.ts';

/** How a try to reach an instance ended without an answer. */
export interface FailedTry {
  error: unknown;
  /** Whether the request may have reached the instance: a connection stood and was given to it. */
  sent: boolean;
  functionName: string;
}

/** The platform's words for a failed try. */
export function failureOf(failed: FailedTry): HearthError {
  const { error, sent, functionName } = failed;
  if (error instanceof HearthError) return error;
  const code = errnoCode(error) ?? '';
  const name = error instanceof Error ? error.name : '';
  if (code === 'UND_ERR_INVALID_ARG') {
    return new HearthError(
      'BadRequest',
      'the request has a header or path that cannot be passed on',
      {
        cause: error,
      },
    );
  }
  if (name === 'HTTPParserError' || code.startsWith('HPE_') || INVALID_RESPONSE.has(code)) {
    return new HearthError(
      'ResponseInvalid',
      `function "${functionName}" answered with something that is not valid HTTP`,
      { hint: 'check what listens on $PORT', cause: error },
    );
  }
  if (!sent) {
    return new HearthError(
      'InstanceUnreachable',
      `no instance of "${functionName}" could be reached (${code || 'connect failed'})`,
      { hint: 'the request was not delivered: it is safe to send it again', cause: error },
    );
  }
  return new HearthError(
    'InstanceCrashed',
    `the instance of "${functionName}" closed the connection before it answered`,
    {
      hint: 'see the logs of the function; the request may have been handled in part',
      cause: error,
    },
  );
}

const INVALID_RESPONSE: ReadonlySet<string> = new Set([
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_RES_EXCEEDED_MAX_SIZE',
  'ERR_INVALID_CHAR',
  'ERR_HTTP_INVALID_STATUS_CODE',
]);

const CLOSED: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

export interface RetryInput extends FailedTry {
  /** Tries so far, this one too. */
  tries: number;
  /** GET or HEAD without a body. */
  isRepeatable: boolean;
  /** Whether any byte of the body has been taken from the caller. */
  bodyWasRead: boolean;
}

const UNSENT_TRIES_MAX = 4;

/**
 * Whether another try is safe: nothing has reached an instance; or once, for a request that may be
 * repeated, when a kept-alive connection was closed before any byte of an answer.
 */
export function mayRetry(input: RetryInput): boolean {
  if (input.error instanceof HearthError) return false;
  const code = errnoCode(input.error) ?? '';
  if (code === 'UND_ERR_INVALID_ARG') return false;
  if (!input.sent) return !input.bodyWasRead && input.tries < UNSENT_TRIES_MAX;
  return input.isRepeatable && input.tries === 1 && CLOSED.has(code);
}
