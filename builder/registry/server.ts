import type { AddressInfo } from 'node:net';
import { createRegistryApp, type RegistryOptions } from './app.ts';

export interface RegistryServer {
  /** Base URL, `http://127.0.0.1:8084`. */
  url: string;
  /** Ends when running requests have ended; open uploads are removed. */
  close(): Promise<void>;
}

/** Serves the embedded registry. Port 0 takes a free one. */
export async function startRegistry(
  options: RegistryOptions & { host: string; port: number },
): Promise<RegistryServer> {
  const app = await createRegistryApp(options);
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    await app.close();
    throw error;
  }
  const { port } = app.server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return { url: `http://${host}:${port}`, close: () => app.close() };
}
