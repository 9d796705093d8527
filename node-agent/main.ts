import { loadConfig } from '../lib/config.ts';
import { runDaemon } from '../lib/daemon.ts';
import { createLog } from '../lib/telemetry/log.ts';
import { startNodeAgent } from './daemon.ts';

const PORT_DEFAULT = 8081;
const DRAIN_MS = 50_000;

const config = loadConfig({
  argv: process.argv.slice(2),
  env: process.env,
  defaults: { port: PORT_DEFAULT },
});
const log = createLog({ component: 'node-agent', level: config.logLevel });
// Alone, a stop is that of one node of many: its requests end while others take the new ones.
const stop = process.connected ? {} : { stopMs: DRAIN_MS };
await runDaemon('node-agent', log, () => startNodeAgent(config, log, stop));
