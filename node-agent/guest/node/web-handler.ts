import type { IncomingMessage, RequestListener } from 'node:http';
import { CallContext, type Identity } from './context.ts';
import { answerFailure, answerText } from './failure.ts';
import type { WebHandler } from './shape.ts';
import { isResponseLike } from './write-response.ts';
import { writeResult } from './write-result.ts';

/** Methods that a Request refuses (Fetch standard, "forbidden method"). */
const FORBIDDEN: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK']);

/** Makes the request that a handler gets. */
export type RequestMaker = (message: IncomingMessage, context: CallContext) => Request;

/** Serves a handler `(request, context) → answer`. */
export function webListener(
  handler: WebHandler,
  identity: Identity,
  makeRequest: RequestMaker,
): RequestListener {
  return (message, response) => {
    if (FORBIDDEN.has(message.method ?? '')) {
      answerText(
        response,
        405,
        JSON.stringify({ error: `method ${message.method} is not served` }),
      );
      return;
    }
    const context = new CallContext(message, response, identity);
    const failed = (error: unknown): void => answerFailure(response, error, context.callId);
    const answer = async (): Promise<void> => {
      await writeResult(response, await handler(makeRequest(message, context), context));
    };
    answer()
      // A thrown Response is an answer: what a helper deep inside found.
      .catch((error: unknown) => {
        const isAnswer = typeof error === 'object' && error !== null && isResponseLike(error);
        if (!isAnswer || response.headersSent) throw error;
        return writeResult(response, error);
      })
      .catch(failed);
  };
}
