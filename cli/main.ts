import { watchPipes } from './closed-pipe.ts';
import { runCli } from './run.ts';

watchPipes();
process.exitCode = await runCli(process.argv.slice(2));
