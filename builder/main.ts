import { loadConfig } from '../lib/config.ts';
import { runDaemon } from '../lib/daemon.ts';
import { createLog } from '../lib/telemetry/log.ts';
import { startBuilder } from './daemon.ts';

const config = loadConfig({
  argv: process.argv.slice(2),
  env: process.env,
  // Addresses and user ids that a node agent on the same machine does not take.
  defaults: { port: 8082, registryPort: 8084, subnet: '10.62.128.0/17', uidBase: 0x3000_0000 },
});
const log = createLog({ component: 'builder', level: config.logLevel });

await runDaemon('builder', log, () => startBuilder(config, log));
