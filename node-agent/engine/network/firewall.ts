import type { Log } from '../../../lib/telemetry/log.ts';
import { runProgram } from '../kernel/run-program.ts';
import { type Element, elementLines } from './firewall-elements.ts';
import { type FirewallFacts, firewallRules } from './firewall-rules.ts';
import type { NetworkNames } from './network-plan.ts';

interface Change {
  lines: readonly string[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * The engine's tables in the kernel. Changes keep their order; those that come while `nft` runs go
 * together into its next run, as a run costs milliseconds whatever it changes.
 */
export class Firewall {
  readonly #names: NetworkNames;
  readonly #log: Log;
  #waiting: Change[] = [];
  #running: Promise<void> | undefined;

  constructor(names: NetworkNames, log: Log) {
    this.#names = names;
    this.#log = log;
  }

  /** Replaces all of an earlier process, in one transaction. */
  async load(facts: FirewallFacts): Promise<void> {
    try {
      await nft(firewallRules(this.#names, facts));
    } catch (error) {
      if (facts.rates === undefined) throw error;
      const { rates: _, ...rest } = facts;
      await nft(firewallRules(this.#names, rest));
      const reason = 'connections and questions of containers are not limited';
      this.#log.warn({ error: String(error) }, reason);
    }
  }

  /** Resolves when the elements are in force. */
  add(elements: readonly Element[]): Promise<void> {
    return this.#change(elementLines('add', this.#names.table, elements));
  }

  /** Resolves when they are in force no more. */
  remove(elements: readonly Element[]): Promise<void> {
    return this.#change(elementLines('delete', this.#names.table, elements));
  }

  /** Puts `added` in the place of `removed`, at once. */
  replace(removed: readonly Element[], added: readonly Element[]): Promise<void> {
    const { table } = this.#names;
    return this.#change([
      ...elementLines('delete', table, removed),
      ...elementLines('add', table, added),
    ]);
  }

  /** Removes the tables; nothing may be connected any more. */
  async unload(): Promise<void> {
    await this.#running;
    const { table } = this.#names;
    await nft(`delete table inet ${table}\ndelete table bridge ${table}\n`);
  }

  #change(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lines, resolve, reject });
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      try {
        await nft(textOf(batch));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        if (batch.length === 1) batch[0]?.reject(error);
        else for (const change of batch) await this.#runOne(change);
      }
    }
  }

  /** A run is one transaction: what fails takes the rest along, which is innocent. */
  async #runOne(change: Change): Promise<void> {
    try {
      await nft(textOf([change]));
      change.resolve();
    } catch (error) {
      change.reject(error);
    }
  }
}

function textOf(changes: readonly Change[]): string {
  return `${changes.flatMap(({ lines }) => lines).join('\n')}\n`;
}

function nft(rules: string): Promise<string> {
  return runProgram('nft', ['-f', '-'], rules);
}
