import { runMain } from '../lib/daemon.ts';
import { startNodeAgent } from './daemon.ts';

const DRAIN_MS = 50_000;

// Alone, a stop is that of one node of many: its requests end while others take the new ones.
const stop = process.connected ? {} : { stopMs: DRAIN_MS };
await runMain('node-agent', (config, log) => startNodeAgent(config, log, stop));
