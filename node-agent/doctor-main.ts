import { checkKernel } from './engine/doctor.ts';

// The engine's look at this machine as one line of JSON, for `hearth doctor`, which runs this as a
// process of its own. The argument is the folder where layers and containers would lie.
process.stdout.write(`${JSON.stringify(await checkKernel(process.argv[2]))}\n`);
