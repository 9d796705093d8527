/** Every container is looked at once in so many ticks. */
const TICKS_PER_ROUND = 8;
const TICK_MS = 250;

/** Something that can be looked at. */
interface Watched {
  look(): void;
}

/**
 * Looks at every container once in 2 s, a part of them each quarter, so that a thousand of them never
 * keep the event loop: one look is some 30 µs.
 */
export class ResourceWatch {
  readonly #containers: ReadonlyMap<string, Watched>;
  #round: Iterator<Watched> | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(containers: ReadonlyMap<string, Watched>) {
    this.#containers = containers;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const share = Math.ceil(this.#containers.size / TICKS_PER_ROUND);
    for (let n = 0; n < share; n++) {
      // A map's iterator sees what comes and goes meanwhile
      this.#round ??= this.#containers.values();
      const { done, value } = this.#round.next();
      if (done === true) this.#round = undefined;
      else value.look();
    }
  }
}
