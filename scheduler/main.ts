import { runMain } from '../lib/daemon.ts';
import { startScheduler } from './daemon.ts';

await runMain('scheduler', startScheduler);
