import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { HearthError } from '../lib/errors.ts';
import { startRequest } from '../node-agent/api/start-request.ts';
import { AgentClients } from './agent-client.ts';
import { instance, revision } from './testing/records.ts';

/** An agent that answers as `listener` says, and a client of it. */
async function withAgent(
  listener: RequestListener,
  test: (clients: AgentClients, node: { name: string; address: string }) => Promise<void>,
): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients = new AgentClients('secret');
  try {
    await test(clients, { name: 'n1', address: `http://127.0.0.1:${port}` });
  } finally {
    await clients.close();
    server.closeAllConnections();
    server.close();
  }
}

const request = startRequest(revision(), 'rollout');

describe('AgentClients', () => {
  it('sends the token and keeps its connections', async () => {
    const ports = new Set<number | undefined>();
    const answer: RequestListener = (incoming, response) => {
      assert.equal(incoming.headers.authorization, 'Bearer secret');
      ports.add(incoming.socket.remotePort);
      incoming.resume().once('end', () => {
        response.writeHead(201).end(JSON.stringify(instance('i-1')));
      });
    };
    await withAgent(answer, async (clients, node) => {
      for (let times = 0; times < 12; times += 1) {
        assert.equal((await clients.start(node, request)).id, 'i-1');
      }
      // A connection is free again a turn after its answer, so calls back to back use two.
      assert.ok(ports.size <= 2, `${ports.size} connections for 12 calls`);
    });
  });

  it('passes the error of the agent on', async () => {
    const error = new HearthError('NodeFull', 'node "n1" is full').toBody();
    const answer: RequestListener = (_incoming, response) => {
      response.writeHead(507).end(JSON.stringify({ error }));
    };
    await withAgent(answer, async (clients, node) => {
      await assert.rejects(clients.start(node, request), { code: 'NodeFull', status: 507 });
    });
  });

  it('takes an instance that is gone as drained', async () => {
    const error = new HearthError('NotFound', 'no instance "i-1"').toBody();
    const answer: RequestListener = (_incoming, response) => {
      response.writeHead(404).end(JSON.stringify({ error }));
    };
    await withAgent(answer, (clients, node) => clients.drain(node, 'i-1', { reason: 'idle' }));
  });

  it('says NodeUnavailable when nobody listens', async () => {
    const clients = new AgentClients('secret');
    const node = { name: 'n1', address: 'http://127.0.0.1:1' };
    await assert.rejects(clients.start(node, request), { code: 'NodeUnavailable' });
    await clients.close();
  });

  it('says NodeUnavailable when the agent does not answer in time', async () => {
    await withAgent(
      () => undefined,
      async (clients, node) => {
        const hasty = { ...request, startTimeoutMs: -119_900 };
        await assert.rejects(clients.start(node, hasty), {
          code: 'NodeUnavailable',
          message: 'node agent "n1" did not answer in time',
        });
      },
    );
  });

  it('gives the reason of the caller who aborts', async () => {
    await withAgent(
      () => undefined,
      async (clients, node) => {
        const stop = new AbortController();
        const starting = clients.start(node, request, stop.signal);
        stop.abort(new Error('enough'));
        await assert.rejects(starting, { message: 'enough' });
      },
    );
  });
});
