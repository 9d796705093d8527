/** Error codes of the distribution spec v1.1, "Error Codes", with the status that goes with each. */
export const PROBLEM_STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  RANGE_INVALID: 416,
  SIZE_INVALID: 413,
  UNAUTHORIZED: 401,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
} as const;

export type ProblemCode = keyof typeof PROBLEM_STATUS;

/** What a request to the registry failed with; written as `{"errors":[{code,message,detail}]}`. */
export class RegistryProblem extends Error {
  override readonly name = 'RegistryProblem';
  readonly code: ProblemCode;
  readonly status: number;
  readonly detail: Record<string, unknown> | undefined;

  constructor(
    code: ProblemCode,
    message: string,
    options: { status?: number; detail?: Record<string, unknown> } = {},
  ) {
    super(message);
    this.code = code;
    this.status = options.status ?? PROBLEM_STATUS[code];
    this.detail = options.detail;
  }

  /** The wire form. */
  toBody(): { errors: { code: string; message: string; detail?: unknown }[] } {
    const detail = this.detail === undefined ? {} : { detail: this.detail };
    return { errors: [{ code: this.code, message: this.message, ...detail }] };
  }
}
