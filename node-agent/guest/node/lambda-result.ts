/** An answer that was checked and is ready to be sent. */
export interface LambdaAnswer {
  status: number;
  /** Names and values in turn. */
  headers: string[];
  body: Buffer;
}

/**
 * What a Lambda handler's result means. With `statusCode` it is the proxy form of formats 1.0 and
 * 2.0; without, the whole result is the JSON body of a 200, as function URLs do it.
 * @throws TypeError for a proxy form that is none
 */
export function lambdaAnswer(result: unknown): LambdaAnswer {
  if (typeof result === 'object' && result !== null && 'statusCode' in result) {
    return proxyAnswer(result as Record<string, unknown>);
  }
  const text = typeof result === 'string' ? result : (JSON.stringify(result) ?? 'null');
  return { status: 200, headers: ['content-type', 'application/json'], body: Buffer.from(text) };
}

function proxyAnswer(result: Record<string, unknown>): LambdaAnswer {
  const status = Number(result.statusCode);
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    const shown = JSON.stringify(result.statusCode) ?? 'undefined';
    throw new TypeError(`result.statusCode must be an integer from 200 to 599: it is ${shown}`);
  }
  const headers: string[] = [];
  const multi = entriesOf(result.multiValueHeaders, 'multiValueHeaders');
  const multiNames = new Set(multi.map(([name]) => name.toLowerCase()));
  for (const [name, value] of entriesOf(result.headers, 'headers')) {
    if (!multiNames.has(name.toLowerCase())) headers.push(name, String(value));
  }
  for (const [name, values] of multi) {
    for (const value of Array.isArray(values) ? values : [values])
      headers.push(name, String(value));
  }
  for (const cookie of Array.isArray(result.cookies) ? result.cookies : []) {
    headers.push('set-cookie', String(cookie));
  }
  if (!hasHeader(headers, 'content-type')) headers.push('content-type', 'application/json');
  return { status, headers, body: bodyOf(result) };
}

function bodyOf({ body, isBase64Encoded }: Record<string, unknown>): Buffer {
  if (body === undefined || body === null) return Buffer.alloc(0);
  if (typeof body !== 'string') return Buffer.from(JSON.stringify(body) ?? '');
  return Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8');
}

function entriesOf(value: unknown, name: string): [string, unknown][] {
  if (value === undefined || value === null) return [];
  if (typeof value !== 'object') throw new TypeError(`result.${name} must be an object`);
  return Object.entries(value).filter(([, item]) => item !== undefined && item !== null);
}

function hasHeader(headers: readonly string[], wanted: string): boolean {
  return headers.some((name, index) => index % 2 === 0 && name.toLowerCase() === wanted);
}
