import { runMain } from '../lib/daemon.ts';
import { startBuilder } from './daemon.ts';

await runMain('builder', startBuilder);
