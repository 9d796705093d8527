import { LIMITS } from '../../lib/limits.ts';

/** What a follower has not read yet; beyond a bound lines are dropped and counted. */
export class FollowQueue {
  readonly #notice: (dropped: number) => string;
  #texts: string[] = [];
  #bytes = 0;
  #dropped = 0;
  #wakeUp: ((woken: boolean) => void) | undefined;

  /** `notice` is the line that says how many were dropped; empty for none. */
  constructor(notice: (dropped: number) => string) {
    this.#notice = notice;
  }

  push(json: string): void {
    if (this.#bytes + json.length > LIMITS.logFollowBytesMax) this.#dropped++;
    else {
      this.#texts.push(json);
      this.#bytes += json.length;
    }
    this.wake();
  }

  /** All that waits, which is then taken. */
  take(): string[] {
    const texts = this.#texts;
    if (this.#dropped > 0) texts.push(this.#notice(this.#dropped));
    this.#texts = [];
    this.#bytes = 0;
    this.#dropped = 0;
    return texts;
  }

  wake(): void {
    this.#wakeUp?.(true);
  }

  /** True when something came, false after `ms` of silence. */
  async wait(ms: number): Promise<boolean> {
    const woken = Promise.withResolvers<boolean>();
    this.#wakeUp = woken.resolve;
    const timer = setTimeout(() => woken.resolve(false), ms);
    try {
      return await woken.promise;
    } finally {
      clearTimeout(timer);
      this.#wakeUp = undefined;
    }
  }
}
