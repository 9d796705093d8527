import { runMain } from '../lib/daemon.ts';
import { startGateway } from './daemon.ts';

await runMain('gateway', startGateway);
