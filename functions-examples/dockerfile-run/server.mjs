import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const page = readFileSync(new URL('public/index.html', import.meta.url));

const server = createServer((request, response) => {
  const isPage = request.url === '/' || request.url?.startsWith('/?');
  response.writeHead(isPage ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' });
  response.end(isPage ? page : '<h1>Not found</h1>');
});
// Longer than the gateway keeps its end of a connection (72 s).
server.keepAliveTimeout = 75_000;
server.listen(Number(process.env.PORT ?? 8080), '0.0.0.0');

process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
