import type { RequestListener } from 'node:http';
import { CallContext, type Identity } from './context.ts';
import { answerFailure } from './failure.ts';
import type { NodeHandler } from './shape.ts';

/** Serves a handler `(req, res)`: it answers by itself; only its failures are answered here. */
export function nodeListener(handler: NodeHandler, identity: Identity): RequestListener {
  return (message, response) => {
    const failed = (error: unknown): void => {
      const { callId } = new CallContext(message, response, identity);
      answerFailure(response, error, callId);
    };
    try {
      const result = handler(message, response);
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  };
}
