import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a unix socket that can lose its connections without telling either end. */
export interface TestProxy {
  /** `redis://HOST:PORT`. */
  url: string;
  /** What is connected now hears nothing more and is not closed; new connections work. */
  freeze(): void;
  stop(): void;
}

/** Listens on a free port of the loopback and passes everything to `unixUrl`, `unix://PATH`. */
export async function startProxy(unixUrl: string): Promise<TestProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const server = createServer((near) => {
    const far = connect({ path: unixUrl.slice('unix://'.length) });
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.once('close', () => {
        pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    freeze() {
      for (const [near, far] of pairs) {
        near.unpipe(far).pause();
        far.unpipe(near).pause();
      }
    },
    stop() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      server.close();
    },
  };
}
