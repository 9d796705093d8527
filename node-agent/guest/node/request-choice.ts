import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { GuestRequest } from './guest-request.ts';
import type { RequestMaker } from './web-handler.ts';
import { webRequest } from './web-request.ts';

/** More modules than this take longer to load than fetch does: nothing would be gained. */
const MODULES_MAX = 64;
const MODULE_BYTES_MAX = 256 * 1024;
/** Code that may compare, copy or extend a request needs Node's own class. */
const NEEDS_CLASS = /\b(Request|Headers)\b/;
const FETCH = 'NativeModule internal/deps/undici/undici';

/** Sees which modules the function loads, and says which kind of request its handler gets. */
export class RequestChoice {
  readonly #urls = new Set<string>();
  #decided = false;
  #isReal = false;

  /** Starts to watch. Call before the import. */
  constructor() {
    registerHooks({
      resolve: (specifier, context, next) => {
        const result = next(specifier, context);
        this.#add(result.url);
        return result;
      },
    });
  }

  /** How to make requests from now on. Call after the import. */
  maker(isFramework: boolean): RequestMaker {
    this.#isReal = isFramework || isFetchLoaded() || this.#anyNeedsClass();
    this.#decided = true;
    if (this.#isReal) return webRequest;
    acceptInFetch();
    return (message, context) => {
      // Fetch may have been loaded since, or a module that names the class.
      if (this.#isReal) return webRequest(message, context);
      return new GuestRequest(message, context) as unknown as Request;
    };
  }

  /** The function's modules in the order they were first asked for. */
  get urls(): Iterable<string> {
    return this.#urls;
  }

  #add(url: string): void {
    if (!url.startsWith('file:')) return;
    if (this.#decided) this.#isReal = true;
    else if (this.#urls.size <= MODULES_MAX) this.#urls.add(url);
  }

  #anyNeedsClass(): boolean {
    return this.#urls.size > MODULES_MAX || [...this.#urls].some(needsClass);
  }
}

function isFetchLoaded(): boolean {
  const { moduleLoadList } = process as unknown as { moduleLoadList?: string[] };
  return moduleLoadList === undefined || moduleLoadList.includes(FETCH);
}

function needsClass(url: string): boolean {
  try {
    const source = readFileSync(fileURLToPath(url), 'latin1');
    return source.length > MODULE_BYTES_MAX || NEEDS_CLASS.test(source);
  } catch {
    return true;
  }
}

/** `fetch(request)`, as a proxy says it, takes our request as well. */
function acceptInFetch(): void {
  const real = globalThis.fetch;
  const fetch = (input: unknown, init?: RequestInit): Promise<Response> =>
    real(input instanceof GuestRequest ? input.toRequest() : (input as Request), init);
  Object.defineProperty(globalThis, 'fetch', { value: fetch, writable: true, configurable: true });
}
