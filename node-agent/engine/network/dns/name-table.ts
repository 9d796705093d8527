/** A container on a network, with what it is called there. */
export interface Member {
  id: string;
  hostname: string;
  aliases: readonly string[];
  address: string;
}

/** Of one answer; a few hundred bytes, whatever number of containers share a name. */
const ADDRESSES_MAX = 16;

/** Who is called what on one network. Names are the same in any case (RFC 4343). */
export class NameTable {
  readonly #members = new Map<string, Member>();
  readonly #names = new Map<string, string[]>();
  #turn = 0;

  get members(): Member[] {
    return [...this.#members.values()];
  }

  add(member: Member): void {
    this.#members.set(member.address, member);
    for (const name of namesOf(member)) {
      this.#names.set(name, [...(this.#names.get(name) ?? []), member.address]);
    }
  }

  remove(address: string): void {
    const member = this.#members.get(address);
    if (member === undefined) return;
    this.#members.delete(address);
    for (const name of namesOf(member)) {
      const rest = this.#names.get(name)?.filter((one) => one !== address) ?? [];
      if (rest.length > 0) this.#names.set(name, rest);
      else this.#names.delete(name);
    }
  }

  /** Whether somebody is called so. */
  knows(name: string): boolean {
    return this.#names.has(plain(name));
  }

  /** Addresses of a name, each time with another one first. */
  addressesOf(name: string): string[] {
    const addresses = this.#names.get(plain(name)) ?? [];
    this.#turn = (this.#turn + 1) % 0x1000_0000;
    const first = this.#turn % Math.max(1, addresses.length);
    return [...addresses.slice(first), ...addresses.slice(0, first)].slice(0, ADDRESSES_MAX);
  }

  /** The hostname at an address. */
  nameOf(address: string): string | undefined {
    return this.#members.get(address)?.hostname;
  }
}

function namesOf({ id, hostname, aliases }: Member): Set<string> {
  return new Set([id, hostname, ...aliases].map(plain));
}

function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
