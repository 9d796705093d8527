import type { Server } from 'node:http';
import { http } from './builtin.ts';

type Listen = Server['listen'];

/**
 * Lets a program that listens by itself (`app.listen(port)`) serve on the inherited socket: the
 * first http.Server that is asked to listen gets that socket instead of its port. Undefined
 * without a socket: then the program's own port is right.
 */
export interface ListenCapture {
  /** The server, once the program asked one to listen. */
  readonly server: Promise<Server>;
  taken(): Server | undefined;
}

/** Starts to watch; `fd` is the inherited listening socket. Call before the import. */
export function captureListen(fd: number): ListenCapture {
  const { promise, resolve } = Promise.withResolvers<Server>();
  const prototype = http.Server.prototype as { listen: Listen };
  const original = prototype.listen;
  let taken: Server | undefined;
  const listen = function (this: Server, ...args: unknown[]): Server {
    if (taken !== undefined) return Reflect.apply(original, this, args) as Server;
    taken = this;
    const address = { address: '0.0.0.0', family: 'IPv4', port: Number(process.env.PORT ?? 8080) };
    // A unix socket has no port, and programs print the one they listen on.
    this.address = () => address;
    const callback = args.findLast((arg) => typeof arg === 'function');
    Reflect.apply(original, this, callback === undefined ? [{ fd }] : [{ fd }, callback]);
    resolve(this);
    return this;
  };
  prototype.listen = listen as Listen;
  return { server: promise, taken: () => taken };
}
