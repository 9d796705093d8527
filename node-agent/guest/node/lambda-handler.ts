import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { CallContext, type Identity } from './context.ts';
import { answerFailure, answerText } from './failure.ts';
import { lambdaEvent } from './lambda-event.ts';
import { lambdaAnswer } from './lambda-result.ts';
import type { LambdaHandler } from './shape.ts';

/** Lambda's own limit of a synchronous call; the whole body becomes one string of the event. */
const BODY_BYTES_MAX = 6 * 1024 * 1024;

/** Serves a handler `(event, context)` in the proxy form. */
export function lambdaListener(handler: LambdaHandler, identity: Identity): RequestListener {
  return (message, response) => {
    const call = new CallContext(message, response, identity);
    serve(handler, message, response, call).catch((error: unknown) => {
      answerFailure(response, error, call.callId);
    });
  };
}

async function serve(
  handler: LambdaHandler,
  message: IncomingMessage,
  response: ServerResponse,
  call: CallContext,
): Promise<void> {
  const body = await readBody(message);
  if (body === undefined) {
    response.shouldKeepAlive = false;
    const error = `the body is larger than the limit of 6 MiB of the Lambda form`;
    answerText(response, 413, JSON.stringify({ error }));
    return;
  }
  const answer = lambdaAnswer(await invoke(handler, lambdaEvent(message, body, call), call));
  const { status, headers } = answer;
  const isBare = status === 204 || status === 304;
  if (!isBare) headers.push('content-length', String(answer.body.length));
  response.writeHead(status, headers.filter(isSendable(headers)));
  response.end(isBare ? undefined : answer.body);
}

/** Length and coding of the body are ours to say: a wrong one would break the connection. */
function isSendable(headers: readonly string[]): (item: string, index: number) => boolean {
  const last = headers.length - 2;
  return (_item, index) => {
    const at = index - (index % 2);
    const name = headers[at]?.toLowerCase();
    if (name === 'content-length') return at === last;
    return name !== 'transfer-encoding' && name !== 'connection';
  };
}

/** The whole body; undefined when it is larger than the limit. */
async function readBody(message: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(message.headers['content-length'] ?? 0) > BODY_BYTES_MAX) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** A third parameter asks for the callback form; a returned promise is taken as well. */
function invoke(handler: LambdaHandler, event: object, call: CallContext): unknown {
  const context = lambdaContext(call);
  if (handler.length < 3) return handler(event, context);
  return new Promise((resolve, reject) => {
    const returned = handler(event, context, (error, result) => {
      if (error === undefined || error === null) resolve(result);
      else reject(error);
    });
    if (returned instanceof Promise) returned.then(resolve, reject);
  });
}

function lambdaContext(call: CallContext): object {
  return {
    awsRequestId: call.callId,
    functionName: call.function,
    functionVersion: call.revision,
    invokedFunctionArn: `arn:hearth:lambda:local:0:function:${call.function}`,
    memoryLimitInMB: String(Math.floor(process.constrainedMemory() / 2 ** 20)),
    logGroupName: call.function,
    logStreamName: call.instance,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => call.remainingMs(),
    callId: call.callId,
    deadline: call.deadline,
    logger: call.logger,
    get signal(): AbortSignal {
      return call.signal;
    },
  };
}
