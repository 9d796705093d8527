import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { ExecExit, ExecRequest } from '../../lib/container-api.ts';
import type { ContainerAgent } from './container-agent.ts';

/** A program that a test executes in a container: its input is the request's body. */
export interface TestExec {
  id: string;
  request: ClientRequest;
  answer: IncomingMessage;
}

export interface ExecOutput {
  stdout: string;
  stderr: string;
  exit: ExecExit | undefined;
}

/** Opens one in the container `target` with a plain HTTP client; its body goes on after the answer has begun. */
export async function openExec(agent: ContainerAgent, asked: ExecRequest): Promise<TestExec> {
  const header = Buffer.from(JSON.stringify(asked)).toString('base64url');
  const request = httpRequest(`${agent.url}/v1/containers/target/exec`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${agent.token}`,
      'hearth-exec': header,
      'transfer-encoding': 'chunked',
    },
  });
  request.on('error', () => {});
  request.flushHeaders();
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return { id: String(answer.headers['hearth-exec-id']), request, answer };
}

/** All that it says, to its end. */
export async function readExec({ answer }: TestExec): Promise<ExecOutput> {
  const bytes = await buffer(answer);
  const output: ExecOutput = { stdout: '', stderr: '', exit: undefined };
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    const payload = bytes.toString('utf8', at + 8, at + 8 + length);
    if (bytes[at] === 1) output.stdout += payload;
    else if (bytes[at] === 2) output.stderr += payload;
    else output.exit = JSON.parse(payload) as ExecExit;
    at += 8 + length;
  }
  return output;
}

/** Executes one without input. */
export async function execIn(agent: ContainerAgent, asked: ExecRequest): Promise<ExecOutput> {
  const opened = await openExec(agent, asked);
  opened.request.end();
  return await readExec(opened);
}
