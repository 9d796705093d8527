import type { IncomingMessage } from 'node:http';
import type { CallContext } from './context.ts';
import { GuestHeaders } from './guest-headers.ts';
import { requestUrl } from './request-url.ts';
import { bodyStream, hasBody, webRequest } from './web-request.ts';

/**
 * A Request that does not need fetch to be loaded, which takes as long as Node's own start: for
 * handlers that only read method, URL, headers and body. What it does not have it takes from a
 * real Request, made then. `request-choice.ts` says who gets which.
 */
export class GuestRequest {
  readonly #message: IncomingMessage;
  readonly #context: CallContext;
  #url: string | undefined;
  #headers: GuestHeaders | undefined;
  #stream: ReadableStream<Uint8Array> | null | undefined;
  #used = false;
  #real: Request | undefined;

  constructor(message: IncomingMessage, context: CallContext) {
    this.#message = message;
    this.#context = context;
  }

  /** The request as Node's own Request; from then on the same body belongs to both. */
  toRequest(): Request {
    if (this.#used) throw new TypeError('Body is unusable: Body has already been read');
    this.#real ??= webRequest(this.#message, this.#context, this.body);
    return this.#real;
  }

  get method(): string {
    return this.#message.method ?? 'GET';
  }

  get url(): string {
    this.#url ??= requestUrl(this.#message);
    return this.#url;
  }

  get headers(): GuestHeaders {
    this.#headers ??= new GuestHeaders(this.#message.rawHeaders);
    return this.#headers;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#real !== undefined) return this.#real.body;
    if (this.#stream === undefined) this.#stream = bodyStream(this.#message);
    return this.#stream;
  }

  get bodyUsed(): boolean {
    return this.#used || this.#real?.bodyUsed === true || this.#stream?.locked === true;
  }

  async text(): Promise<string> {
    const bytes = await this.#bytes();
    const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    return bytes.toString('utf8', hasMark ? 3 : 0);
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  async bytes(): Promise<Uint8Array> {
    const bytes = await this.#bytes();
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.#bytes();
    const { buffer, byteOffset, byteLength } = bytes;
    return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
  }

  async blob(): Promise<Blob> {
    return this.toRequest().blob();
  }

  async formData(): Promise<FormData> {
    return this.toRequest().formData();
  }

  clone(): Request {
    return this.toRequest().clone();
  }

  get duplex(): 'half' {
    return 'half';
  }

  get redirect(): 'follow' {
    return 'follow';
  }

  get [Symbol.toStringTag](): string {
    return 'Request';
  }

  /** The whole body from where it is: the connection, or a stream somebody asked for. */
  async #bytes(): Promise<Buffer> {
    if (this.bodyUsed) throw new TypeError('Body is unusable: Body has already been read');
    if (this.#real !== undefined) return Buffer.from(await this.#real.arrayBuffer());
    this.#used = true;
    const source = this.#stream ?? (hasBody(this.#message) ? this.#message : []);
    const chunks: Uint8Array[] = [];
    for await (const chunk of source as AsyncIterable<Uint8Array>) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
}
