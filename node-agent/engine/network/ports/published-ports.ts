import { errnoCode, HearthError } from '../../../../lib/errors.ts';
import type { Log } from '../../../../lib/telemetry/log.ts';
import type { PublishedPort } from '../../container-spec.ts';
import { openTcpRelay, type Relay } from './tcp-relay.ts';
import { openUdpRelay } from './udp-relay.ts';

/**
 * The ports of this host that lead to containers. The firewall leads in what comes from outside; a
 * relay serves clients of this host, whose packets never pass there, and keeps others off the port.
 */
export class PublishedPorts {
  readonly #relays = new Map<string, Relay[]>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Opens ports that lead to `address`; answers them as they are. @throws HearthError Conflict, BadRequest */
  async open(address: string, ports: readonly PublishedPort[]): Promise<PublishedPort[]> {
    const relays: Relay[] = [];
    this.#relays.set(address, relays);
    const opened: PublishedPort[] = [];
    try {
      for (const port of ports) {
        const relay = await openRelay(address, port);
        relays.push(relay);
        opened.push({ ...port, hostPort: relay.hostPort });
      }
      return opened;
    } catch (error) {
      await this.close(address);
      throw error;
    }
  }

  /** Opens again those of a container that an earlier process began; what cannot be opened is said. */
  async resume(address: string, ports: readonly PublishedPort[]): Promise<void> {
    const relays: Relay[] = [];
    this.#relays.set(address, relays);
    for (const port of ports) {
      try {
        relays.push(await openRelay(address, port));
      } catch (error) {
        this.#log.warn({ address, error: String(error) }, 'port cannot be opened again');
      }
    }
  }

  async close(address: string): Promise<void> {
    const relays = this.#relays.get(address) ?? [];
    this.#relays.delete(address);
    await Promise.all(relays.map((relay) => relay.close()));
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#relays.keys()].map((address) => this.close(address)));
  }
}

async function openRelay(address: string, published: PublishedPort): Promise<Relay> {
  const { hostAddress, hostPort, containerPort, protocol } = published;
  const plan = { hostAddress, hostPort, address, port: containerPort };
  try {
    return await (protocol === 'tcp' ? openTcpRelay(plan) : openUdpRelay(plan));
  } catch (cause) {
    const shown = `${hostAddress}:${hostPort}/${protocol}`;
    const code = errnoCode(cause);
    if (code === 'EADDRINUSE') {
      const hint = 'publish another port, or 0 to take a free one';
      throw new HearthError('Conflict', `port ${shown} is in use`, { hint, cause });
    }
    if (code === 'EADDRNOTAVAIL') {
      const hint = 'publish at an address of this host, or at 0.0.0.0 for all of them';
      throw new HearthError(
        'BadRequest',
        `port ${shown}: this host has no address ${hostAddress}`,
        {
          hint,
          cause,
        },
      );
    }
    throw new HearthError('StartFailed', `cannot open port ${shown}: ${code ?? cause}`, { cause });
  }
}
