import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

/** Sends bytes to `baseUrl` and returns all that comes back until the other side closes. */
export async function sendRaw(baseUrl: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(baseUrl);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.setEncoding('latin1');
  socket.write(bytes, 'latin1');
  return text(socket);
}
