/**
 * Every failure that a user can see has one code in this table; a code never changes its meaning.
 * `status` is the HTTP status, `exit` the exit code of the CLI, `retryable` whether the same
 * request may succeed later without a change.
 */
export const ERROR_CODES = {
  // What the user wrote
  BadRequest: { status: 400, exit: 2, retryable: false },
  NameInvalid: { status: 400, exit: 2, retryable: false },
  ConfigInvalid: { status: 400, exit: 2, retryable: false },
  EnvInvalid: { status: 400, exit: 2, retryable: false },
  EnvTooLarge: { status: 400, exit: 2, retryable: false },
  ContextInvalid: { status: 400, exit: 2, retryable: false },
  ContextUnreadable: { status: 400, exit: 2, retryable: false },
  ContextTooLarge: { status: 413, exit: 2, retryable: false },
  PayloadTooLarge: { status: 413, exit: 2, retryable: false },
  UsageInvalid: { status: 400, exit: 2, retryable: false },
  // Who asks for what
  Unauthorized: { status: 401, exit: 4, retryable: false },
  Forbidden: { status: 403, exit: 4, retryable: false },
  NotFound: { status: 404, exit: 3, retryable: false },
  FunctionNotFound: { status: 404, exit: 3, retryable: false },
  BuildNotFound: { status: 404, exit: 3, retryable: false },
  BlobNotFound: { status: 404, exit: 3, retryable: false },
  Conflict: { status: 409, exit: 5, retryable: true },
  DeployInProgress: { status: 409, exit: 5, retryable: true },
  // Builds
  DockerfileInvalid: { status: 400, exit: 6, retryable: false },
  UnsupportedInstruction: { status: 400, exit: 6, retryable: false },
  BaseImageNotFound: { status: 422, exit: 6, retryable: false },
  PlatformMismatch: { status: 422, exit: 6, retryable: false },
  ImageCorrupt: { status: 422, exit: 6, retryable: false },
  BuildStepFailed: { status: 422, exit: 6, retryable: false },
  BuildCancelled: { status: 409, exit: 130, retryable: true },
  BuildInterrupted: { status: 503, exit: 6, retryable: true },
  BuildDiskFull: { status: 507, exit: 6, retryable: false },
  RegistryAuth: { status: 424, exit: 6, retryable: false },
  RegistryRateLimited: { status: 424, exit: 6, retryable: true },
  RegistryTls: { status: 424, exit: 6, retryable: false },
  RegistryError: { status: 424, exit: 6, retryable: true },
  // Starts
  StartFailed: { status: 422, exit: 7, retryable: true },
  NotListening: { status: 504, exit: 7, retryable: true },
  EntrypointNotFound: { status: 422, exit: 7, retryable: false },
  ExecFormat: { status: 422, exit: 7, retryable: false },
  HandlerInvalid: { status: 422, exit: 7, retryable: false },
  // Invocations
  RequestTimeout: { status: 504, exit: 7, retryable: true },
  InstanceCrashed: { status: 502, exit: 7, retryable: true },
  InstanceOOM: { status: 502, exit: 7, retryable: true },
  InstanceUnreachable: { status: 502, exit: 7, retryable: true },
  ResponseInvalid: { status: 502, exit: 7, retryable: false },
  FunctionUnhealthy: { status: 503, exit: 7, retryable: true },
  Deploying: { status: 503, exit: 8, retryable: true },
  QueueFull: { status: 503, exit: 8, retryable: true },
  QueueTimeout: { status: 503, exit: 8, retryable: true },
  // The platform
  NoCapacity: { status: 503, exit: 8, retryable: true },
  NodeFull: { status: 507, exit: 8, retryable: true },
  NodeUnavailable: { status: 503, exit: 8, retryable: true },
  StorageFull: { status: 507, exit: 8, retryable: true },
  StoreUnavailable: { status: 503, exit: 8, retryable: true },
  QueueUnavailable: { status: 503, exit: 8, retryable: true },
  RegistryUnavailable: { status: 503, exit: 8, retryable: true },
  PlatformUnavailable: { status: 503, exit: 8, retryable: true },
  ShuttingDown: { status: 503, exit: 8, retryable: true },
  KernelUnsupported: { status: 500, exit: 8, retryable: false },
  Interrupted: { status: 499, exit: 130, retryable: true },
  Internal: { status: 500, exit: 8, retryable: false },
} as const satisfies Record<string, { status: number; exit: number; retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error looks like on the wire: `{"error": {...}}` in every API of Hearth. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  hint?: string;
  requestId?: string;
  docs?: string;
  details?: Record<string, unknown>;
}

export interface HearthErrorOptions {
  /** One sentence: what to do now. */
  hint?: string;
  /** Plain values for programs: limits, found values, log tails. Never a secret, never a stack. */
  details?: Record<string, unknown>;
  cause?: unknown;
  /** Overrides the table where the same code means another status, e.g. NotListening at deploy. */
  status?: number;
}

/** The one error class; `code` decides status and exit code through `ERROR_CODES`. */
export class HearthError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly exit: number;
  readonly retryable: boolean;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: HearthErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const row = ERROR_CODES[code];
    this.name = 'HearthError';
    this.code = code;
    this.status = options.status ?? row.status;
    this.exit = row.exit;
    this.retryable = row.retryable;
    this.hint = options.hint;
    this.details = options.details;
  }

  /** The wire form. */
  toBody(requestId?: string): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }

  /** The error that a peer sent as `body`; an unknown code becomes `Internal` with its text kept. */
  static fromBody(body: ErrorBody, options: { status?: number } = {}): HearthError {
    const code = Object.hasOwn(ERROR_CODES, body.code) ? body.code : 'Internal';
    return new HearthError(code, body.message, {
      ...(body.hint === undefined ? {} : { hint: body.hint }),
      ...(body.details === undefined ? {} : { details: body.details }),
      ...(options.status === undefined ? {} : { status: options.status }),
    });
  }
}

/** `error` itself if it is a HearthError, else `Internal` with the original as cause. */
export function toHearthError(error: unknown): HearthError {
  if (error instanceof HearthError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HearthError('Internal', `internal error: ${message}`, { cause: error });
}

/** Errno-style code (`ENOENT`) of a Node or syscall error, if it has one. */
export function errnoCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
