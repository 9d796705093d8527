/**
 * Tidies up after work, but only while no work runs: builds hold what the tidying would remove.
 */
export class IdleTidy {
  readonly #tidy: () => Promise<void>;
  #running = 0;
  #tidying: Promise<void> = Promise.resolve();

  constructor(tidy: () => Promise<void>) {
    this.#tidy = tidy;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      await this.#tidying;
      return await work();
    } finally {
      this.#running--;
      if (this.#running === 0) {
        this.#tidying = this.#tidy().catch(() => {});
        await this.#tidying;
      }
    }
  }
}
