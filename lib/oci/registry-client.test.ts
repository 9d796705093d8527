import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { sha256 } from '../digest.ts';
import { HearthError } from '../errors.ts';
import {
  createRegistryClient,
  type RegistryClient,
  type RegistryClientOptions,
} from './registry-client.ts';
import { MEDIA_TYPES } from './types.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A registry that answers as a test says, and counts the requests. */
async function serve(t: TestContext, answer: Answer): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume();
    answer(request, response);
  });
  return { url: await listen(t, server, 'http'), requests };
}

async function listen(t: TestContext, server: Server, scheme: string): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function clientOf(t: TestContext, options: RegistryClientOptions): RegistryClient {
  const client = createRegistryClient(options);
  t.after(() => client.close());
  return client;
}

const bytes = Buffer.alloc(300_000, 'blob');
const blob = { digest: sha256(bytes), size: bytes.length };

test('a busy registry is asked again, after the time it names', async (t) => {
  let count = 0;
  const { url, requests } = await serve(t, (_request, response) => {
    count++;
    if (count === 1) response.writeHead(503).end();
    else if (count === 2) response.writeHead(429, { 'retry-after': '0' }).end();
    else response.end('{}');
  });
  await clientOf(t, { baseUrl: url }).ping();
  assert.equal(requests.length, 3);
});

test('a limit that lasts long is told, with its time', async (t) => {
  const { url, requests } = await serve(t, (_request, response) =>
    response.writeHead(429, { 'retry-after': '3700' }).end(),
  );
  await assert.rejects(clientOf(t, { baseUrl: url }).ping(), {
    code: 'RegistryRateLimited',
    message: /retry after 3700 s$/,
  });
  assert.equal(requests.length, 1);
});

test('whose registry it is decides the code when it is down', async (t) => {
  const { url } = await serve(t, (_request, response) => response.destroy());
  const ours = clientOf(t, { baseUrl: url });
  await assert.rejects(ours.ping(), { code: 'RegistryUnavailable', status: 503 });
  const users = clientOf(t, { baseUrl: 'http://127.0.0.1:1', owner: 'user' });
  await assert.rejects(users.ping(), {
    code: 'RegistryError',
    status: 424,
    message: 'cannot reach registry 127.0.0.1:1 (connection refused)',
  });
  const nobody = clientOf(t, { baseUrl: 'http://nobody.invalid', owner: 'user' });
  await assert.rejects(nobody.ping(), { code: 'RegistryError' });
});

test('a token is fetched where the challenge says, and used again', async (t) => {
  const { url, requests } = await serve(t, (request, response) => {
    const target = new URL(request.url ?? '', 'http://x');
    if (target.pathname === '/token') {
      const basic = request.headers.authorization === `Basic ${btoa('al:pw')}`;
      const scope = target.searchParams.get('scope');
      response.end(JSON.stringify({ token: basic && scope === 'repository:a:pull' ? 'T' : '' }));
      return;
    }
    if (request.headers.authorization === 'Bearer T') {
      response.end(JSON.stringify({ tags: ['x'] }));
      return;
    }
    const challenge = `Bearer realm="http://${request.headers.host}/token",service="s"`;
    response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  const credentials = { username: 'al', password: 'pw' };
  const client = clientOf(t, { baseUrl: url, credentials, owner: 'user' });
  assert.deepEqual(await client.listTags('a'), ['x']);
  assert.deepEqual(await client.listTags('a'), ['x']);
  assert.deepEqual(
    requests.map((line) => line.split('?', 1)[0]),
    ['GET /v2/a/tags/list', 'GET /token', 'GET /v2/a/tags/list', 'GET /v2/a/tags/list'],
  );
});

test('refused credentials are an error that names host and image', async (t) => {
  const { url } = await serve(t, (_request, response) =>
    response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end(),
  );
  const credentials = { username: 'al', password: 'wrong' };
  const client = clientOf(t, { baseUrl: url, credentials, owner: 'user' });
  const { host } = new URL(url);
  await assert.rejects(client.getManifest('a/b', 'v1'), {
    code: 'RegistryAuth',
    message: `401 from ${host} for ${host}/a/b:v1`,
  });
});

test('a store elsewhere gets no credentials', async (t) => {
  let seen: string | undefined = 'not asked';
  const store = await serve(t, (request, response) => {
    seen = request.headers.authorization;
    response.end(bytes);
  });
  const { url } = await serve(t, (_request, response) =>
    response.writeHead(307, { location: `${store.url}/x` }).end(),
  );
  const client = clientOf(t, { baseUrl: url, token: 'secret' });
  assert.deepEqual(await buffer(await client.getBlob('a', blob)), bytes);
  assert.equal(seen, undefined);
});

test('a download that breaks goes on where it broke', async (t) => {
  let broken = 0;
  const { url } = await serve(t, (request, response) => {
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = bytes.subarray(start);
    response.writeHead(start === 0 ? 200 : 206, { 'content-length': rest.length });
    if (broken++ < 2) response.write(rest.subarray(0, 100_000), () => response.destroy());
    else response.end(rest);
  });
  const client = clientOf(t, { baseUrl: url });
  assert.deepEqual(await buffer(await client.getBlob('a', blob)), bytes);
  assert.ok(broken >= 3);
});

test('a blob of the wrong bytes, or of too few or too many, is corrupt', async (t) => {
  let body = Buffer.from('');
  let chunked = false;
  const { url } = await serve(t, (_request, response) => {
    if (!chunked) response.setHeader('content-length', body.length);
    response.write(body);
    response.end();
  });
  const client = clientOf(t, { baseUrl: url });
  const get = async (): Promise<Buffer> => buffer(await client.getBlob('a', blob));
  const tell = (count: string) => ({
    code: 'ImageCorrupt',
    message: `${blob.digest}: ${count} bytes, expected 300000`,
  });
  await assert.rejects(get(), tell('0'));
  chunked = true;
  body = bytes.subarray(1);
  await assert.rejects(get(), tell('299999'));
  body = Buffer.concat([bytes, bytes]);
  await assert.rejects(get(), tell('more than 300000'));
  body = Buffer.alloc(bytes.length, 'x');
  await assert.rejects(get(), { code: 'ImageCorrupt', message: /content has digest sha256:/ });
});

test('an index leads to the image of the platform, checked by its digest', async (t) => {
  const descriptor = { mediaType: MEDIA_TYPES.config, digest: sha256('c'), size: 1 };
  const image = JSON.stringify({ schemaVersion: 2, config: descriptor, layers: [] });
  let served = image;
  const platform = { os: 'linux', architecture: 'amd64' };
  const entry = {
    mediaType: MEDIA_TYPES.manifest,
    digest: sha256(image),
    size: image.length,
    platform,
  };
  const index = JSON.stringify({ schemaVersion: 2, manifests: [entry] });
  const { url } = await serve(t, (request, response) => {
    const isIndex = request.url?.endsWith('/manifests/1') === true;
    response.setHeader('content-type', isIndex ? MEDIA_TYPES.index : MEDIA_TYPES.manifest);
    response.end(isIndex ? index : served);
  });
  const amd = clientOf(t, { baseUrl: url, architecture: 'amd64' });
  assert.equal((await amd.getManifest('a', '1')).digest, sha256(image));
  const arm = clientOf(t, { baseUrl: url, architecture: 'arm64' });
  await assert.rejects(arm.getManifest('a', '1'), {
    code: 'PlatformMismatch',
    message: 'a:1: image is linux/amd64, node needs linux/arm64',
  });
  served = `${image} `;
  await assert.rejects(amd.getManifest('a', '1'), { code: 'ImageCorrupt' });
});

test('an upload that breaks starts again; a stream is sent once', async (t) => {
  let puts = 0;
  const { url, requests } = await serve(t, (request, response) => {
    if (request.method === 'HEAD') response.writeHead(404).end();
    else if (request.method === 'POST') {
      response.writeHead(202, { location: '/v2/a/blobs/uploads/1?state=s' }).end();
    } else if (request.method === 'PUT' && ++puts === 1) response.destroy();
    else if (request.method === 'PATCH') response.destroy();
    else response.writeHead(201).end();
  });
  const client = clientOf(t, { baseUrl: url });
  await client.putBlob('a', { ...blob, open: () => Readable.from([bytes]) });
  assert.equal(puts, 2);
  requests.length = 0;
  await assert.rejects(client.putStream('a', Readable.from([bytes])), {
    code: 'RegistryUnavailable',
  });
  assert.deepEqual(
    requests.map((line) => line.split(' ', 1)[0]),
    ['POST', 'PATCH', 'DELETE'],
  );
});

test('a stream that fails before it is read fails its upload, and nothing else', async (t) => {
  const stream = Readable.from([bytes]);
  const { url } = await serve(t, (request, response) => {
    if (request.method === 'POST') {
      stream.destroy(new HearthError('ShuttingDown', 'the builder stops'));
      response.writeHead(202, { location: '/v2/a/blobs/uploads/1' });
    }
    response.end();
  });
  const client = clientOf(t, { baseUrl: url });
  await assert.rejects(client.putStream('a', stream), { code: 'ShuttingDown' });
});

test('names that are none never reach the registry', async (t) => {
  const { url, requests } = await serve(t, (_request, response) => response.end());
  const client = clientOf(t, { baseUrl: url });
  for (const [name, tag] of [
    ['../x', '1'],
    ['a', '../1'],
    ['a?b', '1'],
    ['a', 'sha256:x'],
  ] as const) {
    await assert.rejects(client.getManifest(name, tag), { code: 'BadRequest' });
  }
  assert.deepEqual(requests, []);
});

test('a certificate that is not trusted is told as such, and --ca helps', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-tls-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const [key, cert] = [join(dir, 'key'), join(dir, 'cert')];
  try {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync('openssl', [...args, ...subject, '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
  } catch {
    t.skip('needs openssl');
    return;
  }
  const pem = { key: readFileSync(key), cert: readFileSync(cert) };
  const url = await listen(
    t,
    createTlsServer(pem, (_request, response) => response.end()),
    'https',
  );
  const doubting = clientOf(t, { baseUrl: url, owner: 'user' });
  await assert.rejects(doubting.ping(), { code: 'RegistryTls', message: /SELF_SIGNED/ });
  await clientOf(t, { baseUrl: url, ca: pem.cert.toString() }).ping();
  const plain = clientOf(t, { baseUrl: url.replace('https', 'http'), owner: 'user' });
  await assert.rejects(plain.ping(), { code: 'RegistryError' });
});

test('a user’s registry leads to nothing of this machine, unless it is named as one', async (t) => {
  const inside = await serve(t, (_request, response) => response.writeHead(404).end('SECRET'));
  const { port } = new URL(inside.url);
  const outside = await serve(t, (_request, response) => {
    response.writeHead(307, { location: `http://localhost:${port}/` }).end();
  });
  const refused = { code: 'RegistryError', message: /leads to (::ffff:)?127\.0\.0\.1/ };
  const find = (baseUrl: string, owner: 'user' | 'platform') =>
    clientOf(t, { baseUrl, owner }).getManifest('a', 'b');
  // 127.0.0.1 by a name that does not say so
  await assert.rejects(find(`http://[::ffff:127.0.0.1]:${port}`, 'user'), refused);
  await assert.rejects(find(outside.url, 'user'), refused);
  assert.deepEqual(inside.requests, []);
  await assert.rejects(find(inside.url, 'user'), { code: 'BaseImageNotFound' });
});
