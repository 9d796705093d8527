import { loadConfig } from '../lib/config.ts';
import { parseRuntimes } from '../lib/config-lists.ts';
import { checkKernel } from './engine/doctor/doctor.ts';
import { checkRuntimes } from './engine/oci/check-runtimes.ts';

// The engine's look at this machine as one line of JSON, for `hearth doctor`, which runs this as a
// process of its own. The argument is the folder where layers and containers would lie.
const { runtimes } = loadConfig({ argv: [], env: process.env });
const checks = await checkKernel(process.argv[2]);
checks.push(...(await checkRuntimes(parseRuntimes(runtimes))));
process.stdout.write(`${JSON.stringify(checks)}\n`);
