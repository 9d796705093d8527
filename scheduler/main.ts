import { loadConfig } from '../lib/config.ts';
import { runDaemon } from '../lib/daemon.ts';
import { createLog } from '../lib/telemetry/log.ts';
import { startScheduler } from './daemon.ts';

const config = loadConfig({
  argv: process.argv.slice(2),
  env: process.env,
  defaults: { port: 8083 },
});
const log = createLog({ component: 'scheduler', level: config.logLevel });

await runDaemon('scheduler', log, () => startScheduler(config, log));
