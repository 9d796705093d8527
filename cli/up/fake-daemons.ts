import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DAEMONS } from './plan.ts';

/**
 * For tests: writes four tiny daemons that keep the contract of lib/daemon.ts (ready message, stop
 * on SIGTERM and on a closed channel) and append `start NAME PID` and `stop NAME` to `journal`.
 */
export function writeFakeDaemons(folder: string, journal: string): void {
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const name of DAEMONS) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'main.js'), program(name, journal));
  }
}

function program(name: string, journal: string): string {
  return `
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
const note = (text) => appendFileSync(${JSON.stringify(journal)}, text + '\\n');
const end = () => { note('stop ${name}'); process.exit(0); };
process.on('SIGTERM', end);
process.on('disconnect', end);
note('start ${name} ' + process.pid);
if (process.env.FAKE_FAILS === '${name}') {
  console.error(JSON.stringify({ level: 'fatal', msg: 'failed', err: { message: 'no luck' } }));
  process.exit(1);
}
if (process.env.FAKE_HANGS === '${name}') await new Promise(() => setInterval(() => {}, 1000));
const server = createServer((_, answer) => answer.end('ok'));
server.listen(Number(process.env.HEARTH_PORT), '127.0.0.1', () => {
  const api = 'http://127.0.0.1:' + server.address().port;
  process.send({ type: 'ready', component: '${name}', addresses: { api } });
});
`;
}
