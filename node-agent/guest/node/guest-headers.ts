/**
 * Headers of a call with the methods of the Fetch standard, over Node's raw list. Names without
 * case; several values of one name join with `, ` (cookies with `; `), as the standard says.
 */
export class GuestHeaders {
  readonly #map = new Map<string, string>();
  #setCookies: string[] = [];

  constructor(raw: readonly string[]) {
    for (let i = 0; i + 1 < raw.length; i += 2) this.append(raw[i] ?? '', raw[i + 1] ?? '');
  }

  get(name: string): string | null {
    return this.#map.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#map.has(name.toLowerCase());
  }

  getSetCookie(): string[] {
    return [...this.#setCookies];
  }

  set(name: string, value: string): void {
    const key = name.toLowerCase();
    if (key === 'set-cookie') this.#setCookies = [String(value)];
    this.#map.set(key, String(value));
  }

  append(name: string, value: string): void {
    const key = name.toLowerCase();
    if (key === 'set-cookie') this.#setCookies.push(value);
    const before = this.#map.get(key);
    const joint = key === 'cookie' ? '; ' : ', ';
    this.#map.set(key, before === undefined ? value : before + joint + value);
  }

  delete(name: string): void {
    const key = name.toLowerCase();
    if (key === 'set-cookie') this.#setCookies = [];
    this.#map.delete(key);
  }

  forEach(
    call: (value: string, name: string, headers: GuestHeaders) => void,
    self?: unknown,
  ): void {
    for (const [name, value] of this.entries()) call.call(self, value, name, this);
  }

  /** Sorted by name; each cookie that is set is an entry of its own. */
  *entries(): IterableIterator<[string, string]> {
    for (const name of [...this.#map.keys()].sort()) {
      if (name !== 'set-cookie') yield [name, this.#map.get(name) ?? ''];
      else for (const cookie of this.#setCookies) yield [name, cookie];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }

  get [Symbol.toStringTag](): string {
    return 'Headers';
  }
}
