/** Numbers 0 … count-1, the lowest free one first. */
export class Slots {
  readonly #count: number;
  readonly #taken = new Set<number>();

  constructor(count: number) {
    this.#count = count;
  }

  /** Undefined when all are taken. */
  take(): number | undefined {
    for (let slot = 0; slot < this.#count; slot++) {
      if (this.#taken.has(slot)) continue;
      this.#taken.add(slot);
      return slot;
    }
    return undefined;
  }

  /** Takes this one; false if it was taken. */
  claim(slot: number): boolean {
    if (this.#taken.has(slot)) return false;
    this.#taken.add(slot);
    return true;
  }

  free(slot: number): void {
    this.#taken.delete(slot);
  }
}
