import { loadConfig } from '../lib/config.ts';
import { runDaemon } from '../lib/daemon.ts';
import { createLog } from '../lib/telemetry/log.ts';
import { startGateway } from './daemon.ts';

const config = loadConfig({
  argv: process.argv.slice(2),
  env: process.env,
  defaults: { port: 8080 },
});
const log = createLog({ component: 'gateway', level: config.logLevel });

await runDaemon('gateway', log, () => startGateway(config, log));
