import { loadConfig } from '../../lib/config.ts';
import { runDaemon } from '../../lib/daemon.ts';
import { createLog } from '../../lib/telemetry/log.ts';
import { startNodeAgent } from '../daemon.ts';
import { rootImages } from './root-images.ts';

/** A node agent as a process of its own, whose images are the folders in `TEST_IMAGES`. */
const config = loadConfig({ argv: [], env: process.env });
const log = createLog({ component: 'node-agent', level: config.logLevel });
const images = rootImages(process.env.TEST_IMAGES ?? '');
await runDaemon('node-agent', log, () => startNodeAgent(config, log, { images }));
