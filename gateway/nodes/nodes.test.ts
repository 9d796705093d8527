import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { NodeRecord } from '../../lib/records.ts';
import { hasRedis } from '../../lib/testing/redis.ts';
import { Mirror } from '../mirror.ts';
import { TestPlatform, until } from '../testing/platform.ts';
import { nodeOfContainer, onlyNode, pickNode } from './find-node.ts';

/** Containers through a real gateway, on nodes that answer as agents do. */

const skip = hasRedis() ? false : 'needs redis-server';

interface FakeNode {
  name: string;
  server: Server;
  /** `METHOD /path` each, with the token it came with. */
  asked: string[];
  containers: string[];
}

async function startNode(
  platform: TestPlatform,
  name: string,
  containers: string[],
): Promise<FakeNode> {
  const node: FakeNode = { name, asked: [], containers, server: createServer() };
  node.server.on('request', (message, answer) => void serve(node, message, answer));
  node.server.listen(0, '127.0.0.1');
  await once(node.server, 'listening');
  const { port } = node.server.address() as AddressInfo;
  await platform.store.put('node', name, nodeRecord(name, `http://127.0.0.1:${port}`));
  return node;
}

function nodeRecord(name: string, address: string, reserved = 0): NodeRecord {
  return {
    name,
    address,
    cpuMillis: 1000,
    memoryBytes: 2 ** 30,
    memoryReservedBytes: reserved,
    instances: 0,
    version: '0',
    heartbeatAtMs: Date.now(),
  };
}

async function serve(
  node: FakeNode,
  message: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  node.asked.push(`${message.method} ${message.url} ${message.headers.authorization}`);
  const path = new URL(message.url ?? '', 'http://x').pathname;
  const [, , kind, id = '', action] = path.split('/').map(decodeURIComponent);
  const json = (status: number, value: unknown): void => {
    answer.writeHead(status, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(value));
  };
  if (kind === 'events') {
    answer.writeHead(200, { 'content-type': 'application/x-ndjson' });
    answer.end(`${JSON.stringify({ node: node.name, action: 'start' })}\n`);
  } else if (kind === 'containers' && id === '') {
    if (message.method === 'POST')
      json(201, { id: 'new', node: node.name, asked: await text(message) });
    else
      json(200, { containers: node.containers.map((name, n) => ({ id: name, createdAtMs: n })) });
  } else if (!node.containers.includes(id)) {
    json(404, { error: { code: 'NotFound', message: `container "${id}" does not exist` } });
  } else if (action === 'exec') {
    // Headers first, then each chunk back as it comes
    answer.writeHead(200, { 'hearth-exec-id': 'e1', 'x-internal': 'no' });
    answer.flushHeaders();
    for await (const chunk of message) answer.write(`>${chunk}`);
    answer.end('bye');
  } else json(200, { id, node: node.name });
}

describe('nodes', { skip }, () => {
  let platform: TestPlatform;
  let nodes: FakeNode[] = [];
  let token: string;
  before(async () => {
    platform = await TestPlatform.start({ handler: () => (_request, answer) => answer.end() });
    nodes = [
      await startNode(platform, 'a', ['web', 'both']),
      await startNode(platform, 'b', ['db', 'both']),
    ];
    token = await platform.token();
    await until(async () => {
      const found = (await (await call('GET', '/v1/system')).json()) as { nodes: unknown[] };
      return found.nodes.length >= 3;
    });
  });
  after(async () => {
    for (const { server } of nodes) {
      server.closeAllConnections();
      server.close();
    }
    await platform?.stop();
  });

  const call = (method: string, path: string, body?: string): Promise<Response> =>
    fetch(`${platform.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
    });

  test('a list has the containers of all nodes, each with its node', async () => {
    const answer = (await (await call('GET', '/v1/containers')).json()) as {
      containers: { id: string; node: string }[];
    };
    const found = answer.containers.map(({ id, node }) => `${node}/${id}`).sort();
    assert.deepEqual(found, ['a/both', 'a/web', 'b/both', 'b/db']);
  });

  test('a request goes to the node that has the container, with the token of the cluster', async () => {
    const answer = await call('GET', '/v1/containers/db?x=1');
    assert.deepEqual(await answer.json(), { id: 'db', node: 'b' });
    assert.equal(answer.headers.get('hearth-node'), 'b');
    const asked = nodes[1]?.asked.at(-1) ?? '';
    assert.match(asked, /^GET \/v1\/containers\/db\?x=1 Bearer /);
    assert.ok(!asked.includes(token));
  });

  test('a name on several nodes, on none, and on the node that is named', async () => {
    const both = await call('GET', '/v1/containers/both');
    assert.equal(both.status, 409);
    assert.match(await both.text(), /is on 2 nodes.*a, b/);
    assert.equal((await call('GET', '/v1/containers/both?node=b')).headers.get('hearth-node'), 'b');
    assert.equal((await call('GET', '/v1/containers/nothing')).status, 404);
    assert.match(
      await (await call('GET', '/v1/containers/web?node=zz')).text(),
      /node \\"zz\\" is not there/,
    );
  });

  test('a path is taken apart once: what the router read is what the node is asked', async () => {
    for (const id of ['..%2f..%2fv1%2finstances', '%2e%2e', 'a%00b', 'web%2fexec']) {
      const answer = await call('GET', `/v1/containers/${id}`);
      assert.ok([400, 404].includes(answer.status), `${id}: ${answer.status}`);
    }
    for (const { asked } of nodes) {
      assert.ok(
        asked.every((line) =>
          /^[A-Z]+ \/v1\/(containers|events)(\/[^/]+)?(\/exec)?(\?| )/.test(line),
        ),
        asked.join('\n'),
      );
    }
  });

  test('actions that are not there are 404, and nothing of a node but these is reached', async () => {
    for (const path of [
      '/v1/containers/web/secret',
      '/v1/containers/web/exec/x',
      '/v1/instances',
      '/v1/node',
    ]) {
      assert.equal((await call('POST', path)).status, 404, path);
    }
  });

  test('output comes while input is still sent; fields of the node’s own stay there', async () => {
    const sent = request(`${platform.url}/v1/containers/web/exec`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'hearth-exec': 'e30' },
    });
    // Nothing is typed before the program answers
    sent.flushHeaders();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    sent.write('one');
    assert.equal(answer.headers['hearth-exec-id'], 'e1');
    assert.equal(answer.headers['x-internal'], undefined);
    const chunks: string[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(String(chunk)));
    await until(() => chunks.join('') === '>one');
    sent.write('two');
    await until(() => chunks.join('') === '>one>two');
    sent.end();
    await once(answer, 'end');
    assert.equal(chunks.join(''), '>one>twobye');
  });

  test('a container is made on the node that is named, its body passed as it is', async () => {
    const answer = await call('POST', '/v1/containers?node=a', '{"image": "box:1"}');
    assert.equal(answer.status, 201);
    assert.deepEqual(await answer.json(), { id: 'new', node: 'a', asked: '{"image": "box:1"}' });
  });

  test('events of all nodes come together', async () => {
    const lines = (await (await call('GET', '/v1/events?node=a')).text()).trim().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).node),
      ['a'],
    );
    const since = await call('GET', '/v1/events?since=3');
    assert.match(await since.text(), /since counts the events of one node/);
  });

  test('without the token nothing is passed on', async () => {
    for (const path of ['/v1/containers', '/v1/events', '/v1/volumes', '/v1/networks']) {
      assert.equal((await fetch(`${platform.url}${path}`)).status, 401, path);
    }
  });
});

test('where no node is, none of a container is known', async () => {
  const parts = { mirror: new Mirror(), agents: undefined as never };
  await assert.rejects(nodeOfContainer(parts, 'web', undefined), {
    code: 'NodeUnavailable',
    message: 'no node is there',
  });
});

test('the node with most memory left is picked; a thing of one node needs its name', () => {
  const nodes = [nodeRecord('a', '', 2 ** 29), nodeRecord('b', '', 2 ** 20)];
  assert.equal(pickNode(nodes, undefined), 'b');
  assert.equal(pickNode(nodes, 'a'), 'a');
  assert.throws(() => pickNode([], undefined), /no node is there/);
  assert.throws(() => onlyNode(nodes, undefined), /there are 2 nodes: a, b/);
  assert.equal(onlyNode(nodes.slice(0, 1), undefined), 'a');
});
